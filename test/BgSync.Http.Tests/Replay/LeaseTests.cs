using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>An entry is under way when something else happens: a stop, a lost lease, a store that fails.</summary>
public sealed class LeaseTests : ReplayFixture
{
    private readonly TaskCompletionSource _answer = new();
    private FaultyStore? _store;

    [Fact]
    public async Task A_stop_waits_for_what_is_under_way()
    {
        await using var server = SlowServer();
        await using var app = await SendingAsync(server);

        var stopping = app.Sync.StopAsync();
        _answer.SetResult();
        await stopping;

        Assert.Equal(0, (await app.Queue.CountAsync()).Pending);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2003);
    }

    [Fact]
    public async Task A_stop_gives_back_what_takes_longer_than_the_grace()
    {
        await using var server = SlowServer();
        await using var app = await SendingAsync(server);

        var stopping = app.Sync.StopAsync();
        await AdvanceUntilAsync(() => stopping.IsCompleted, "the stop ends");

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((false, 1), (entry.IsLeased, entry.Attempts));
        _answer.SetResult();
        await app.Sync.StartAsync();
        await EmptyAsync(app);
        Assert.Equal(2, server.Requests.Count);
        Assert.Equal(server.Requests[0].ValuesOf("Idempotency-Key"), server.Requests[1].ValuesOf("Idempotency-Key"));
    }

    [Fact]
    public async Task A_host_that_has_no_time_left_has_what_is_under_way_released_at_once()
    {
        await using var server = SlowServer();
        await using var app = await SendingAsync(server);

        // The clock stands still: the grace is not over.
        await app.Sync.StopAsync(new CancellationToken(canceled: true));

        Assert.False(Assert.Single(await app.EntriesAsync()).IsLeased);
        _answer.SetResult();
    }

    [Fact]
    public async Task A_container_that_is_disposed_of_without_a_stop_gives_back_what_is_under_way()
    {
        using var directory = new TempDirectory();
        await using var server = SlowServer();
        var app = Create(directory: directory);
        await app.Sync.StartAsync();
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request is read");

        ((IDisposable)app.Services).Dispose();

        await using var next = Create(directory: directory);
        Assert.False(Assert.Single(await next.EntriesAsync()).IsLeased);
        _answer.SetResult();
    }

    [Fact]
    public async Task A_lease_is_renewed_while_its_entry_is_being_sent()
    {
        await using var server = SlowServer();
        await using var app = await SendingAsync(server, sync => sync.AttemptTimeout = Timeout.InfiniteTimeSpan);
        var renewals = 0;
        _store!.Before = operation => renewals += operation == nameof(IQueueStore.RenewAsync) ? 1 : 0;

        var began = Clock.GetUtcNow();
        await AdvanceUntilAsync(() => renewals >= 6 && Clock.GetUtcNow() - began > TimeSpan.FromMinutes(2), "the lease is renewed");

        Assert.True(Assert.Single(await app.EntriesAsync()).IsLeased);
        Assert.Single(server.Requests);
        _answer.SetResult();
        await EmptyAsync(app);
    }

    [Fact]
    public async Task An_attempt_whose_lease_is_lost_is_broken_off_and_changes_nothing()
    {
        await using var server = SlowServer();
        await using var app = await SendingAsync(server);
        var lost = app.Queue.UntilAsync(EntryEventKind.LeaseLost);
        _store!.LosesLeases = true;

        await AdvanceUntilAsync(() => lost.IsCompleted, "the lost lease is noticed");

        Assert.Equal(1, (await app.Queue.CountAsync()).Pending);
        Assert.DoesNotContain(app.Logs.Lines, line => line.EventId is 2003 or 2004);
        _answer.SetResult();
    }

    [Fact]
    public async Task What_was_delivered_is_not_sent_again_while_the_store_cannot_write_it_down()
    {
        await using var server = SlowServer();
        await using var app = await SendingAsync(server);
        var failures = 5;
        _store!.Before = operation =>
        {
            if (operation == FaultyStore.Complete && failures-- > 0)
            {
                throw new QueueStoreException(StoreFault.Full, "The disk is full.");
            }
        };

        var delivered = app.Queue.UntilAsync(EntryEventKind.Delivered);
        _answer.SetResult();

        await AdvanceUntilAsync(() => delivered.IsCompleted, "the delivery is written down");
        Assert.True(failures < 0);
        Assert.Contains(app.Logs.Lines, static line => line.EventId == 3012);
        Assert.Single(server.Requests);
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_store_that_fails_for_a_while_is_asked_again()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartOnFaultyStoreAsync();
        var fails = true;
        _store!.Before = operation =>
        {
            if (fails && operation == nameof(IQueueStore.GetScheduleAsync))
            {
                throw new QueueStoreException(StoreFault.Locked, "Another process holds the file.");
            }
        };
        await QueueWhileDownAsync(app, server, "1");
        await Assert.ThrowsAsync<QueueStoreException>(() => app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan));
        fails = false;

        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request arrives");
        Assert.Contains(app.Logs.Lines, line => line.EventId == 3001);
    }

    [Fact]
    public async Task A_store_that_cannot_take_a_request_leaves_the_caller_with_the_failure_and_the_reason()
    {
        await using var app = await StartOnFaultyStoreAsync();
        _store!.Before = operation =>
        {
            if (operation == nameof(IQueueStore.AddAsync))
            {
                throw new QueueStoreException(StoreFault.Full, "The disk is full. Make room.");
            }
        };

        var failure = await Assert.ThrowsAsync<HttpRequestException>(
            () => app.Client.PostAsync($"http://127.0.0.1:{RawServer.RefusedPort()}/", new StringContent("order")));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Equal("The disk is full. Make room.", failure.GetNotQueuedReason());
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2001);
        Assert.Equal(0, (await app.Queue.CountAsync()).Pending);
    }

    /// <summary>A server that answers when <see cref="_answer"/> is set.</summary>
    private RawServer SlowServer() => new(async (connection, cancellationToken) =>
    {
        await connection.ReadRequestAsync(cancellationToken);
        await _answer.Task.WaitAsync(cancellationToken);
        await connection.RespondAsync(200, "", [], cancellationToken);
    });

    /// <summary>An application that is just sending an entry to a slow server.</summary>
    private async Task<TestApplication> SendingAsync(RawServer server, Action<BackgroundSyncOptions>? configure = null)
    {
        var app = await StartOnFaultyStoreAsync(configure);
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request is read");
        return app;
    }

    private Task<TestApplication> StartOnFaultyStoreAsync(Action<BackgroundSyncOptions>? configure = null) => StartAsync(
        configure, services => services.AddSingleton<IQueueStore>(_store = new FaultyStore(new MemoryQueueStore(Clock))));
}

using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The triggers that make the queue send.</summary>
public sealed class TriggerTests : ReplayFixture
{
    [Fact]
    public async Task What_was_queued_before_a_restart_arrives_after_it()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(200));
        await using (var before = Create(directory: directory))
        {
            await QueueWhileDownAsync(before, server, "1", "2", "3");
        }

        await using var after = Create(directory: directory);
        await after.Sync.StartAsync();

        await Eventually.TrueAsync(() => server.Requests.Count == 3, "three requests arrive");
        Assert.Equal(["1", "2", "3"], server.Requests.Select(request => request.Text));
        await EmptyAsync(after);
    }

    [Theory]
    [InlineData(NetworkSignal.Available)]
    [InlineData(NetworkSignal.AddressChanged)]
    public async Task A_network_event_ends_the_wait_of_those_that_never_left(NetworkSignal signal)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync();
        await QueueWhileDownAsync(app, server, "1");

        app.Network.Raise(signal);

        // The clock stands still: only the event can have ended the wait.
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request arrives");
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_probe_that_hangs_in_a_dead_network_is_broken_off_when_the_network_changes()
    {
        // The first connection stands for one whose packets are lost without a word: only its time-out would end it.
        await using var server = new RawServer(RawServer.Sequence(Scripts.NeverAnswer(), Scripts.Respond(200)));
        await using var app = await StartAsync(sync => sync.AttemptTimeout = TimeSpan.FromHours(1));
        await QueueWhileDownAsync(app, server, "1");
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the probe is sent");
        Clock.Advance(TimeSpan.FromSeconds(10));

        app.Network.Raise(NetworkSignal.AddressChanged);

        await Eventually.TrueAsync(() => server.Requests.Count == 2, "another probe is sent");
        Assert.Equal(server.Requests[0].ValuesOf("Idempotency-Key"), server.Requests[1].ValuesOf("Idempotency-Key"));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_probe_that_must_not_be_sent_twice_is_not_broken_off()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = await StartAsync(sync => sync.IdempotencyKeyHeader = null);
        await QueueWhileDownAsync(app, server, "1");
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the probe is sent");
        Clock.Advance(TimeSpan.FromSeconds(10));

        app.Network.Raise(NetworkSignal.AddressChanged);

        await Eventually.TrueAsync(() => Polls(app, "Network") == 2, "the event is seen");
        Assert.True(Assert.Single(await app.EntriesAsync()).IsLeased);
    }

    [Fact]
    public async Task Devices_that_come_back_together_are_spread_by_jitter()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync =>
        {
            sync.Replay.TriggerJitter = TimeSpan.FromSeconds(30);
            sync.Retry.MinBackoff = sync.Retry.MaxBackoff = TimeSpan.FromHours(1);
            sync.Replay.Interval = TimeSpan.FromHours(2);
        });
        await AdvanceUntilAsync(() => Clock.NextTimerAt > Clock.GetUtcNow().AddHours(1), "the start is over");
        await QueueWhileDownAsync(app, server, "1");
        var raised = Clock.GetUtcNow();

        app.Network.Raise(NetworkSignal.Available);

        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request arrives");
        Assert.InRange(Clock.GetUtcNow() - raised, TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(59));
    }

    [Fact]
    public async Task A_live_success_to_the_same_origin_ends_the_wait()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync();
        await QueueWhileDownAsync(app, server, "queued");

        using var live = await app.Client.PostAsync(server.Uri, new StringContent("live"));

        await Eventually.TrueAsync(() => server.Requests.Count == 2, "the queued request arrives behind the live one");
        Assert.Equal(["live", "queued"], server.Requests.Select(request => request.Text));
    }

    [Fact]
    public async Task Time_alone_is_enough()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync();
        await QueueWhileDownAsync(app, server, "1");

        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request arrives");
    }

    [Fact]
    public async Task A_replay_by_hand_runs_without_a_start_and_says_what_it_did()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(200), Scripts.Respond(400), Scripts.Respond(503)));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1", "2", "3");

        var summary = await app.Sync.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(new ReplaySummary(Delivered: 1, DeadLettered: 1, Remaining: 1, Completed: true), summary);
    }

    [Fact]
    public async Task A_replay_by_hand_ends_at_its_deadline_and_gives_back_what_is_under_way()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");

        var replaying = app.Sync.ReplayAsync(TimeSpan.FromSeconds(5));
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request is read");
        Clock.Advance(TimeSpan.FromSeconds(5));
        var summary = await replaying;

        Assert.Equal(new ReplaySummary(0, 0, Remaining: 1, Completed: false), summary);
        Assert.False(Assert.Single(await app.EntriesAsync()).IsLeased);
    }

    [Fact]
    public async Task What_is_queued_during_a_replay_is_sent_without_another_event()
    {
        var answer = new TaskCompletionSource();
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await answer.Task.WaitAsync(cancellationToken);
            await connection.RespondAsync(200, "", [], cancellationToken);
        });
        await using var app = await StartAsync();
        await QueueWhileDownAsync(app, server, "1");
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the first is read");

        await app.Store.AddAsync(
            new NewEntry
            {
                Queue = TestApplication.QueueName,
                Request = new() { Method = HttpMethod.Post, Uri = server.Uri, ContentHeaders = [] },
                Timestamp = Clock.GetUtcNow(),
            },
            CancellationToken.None);
        answer.SetResult();

        await Eventually.TrueAsync(() => server.Requests.Count == 2, "the second is read");
        await EmptyAsync(app);
    }

    [Fact]
    public async Task Entries_of_another_process_are_found_when_time_has_passed()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(directory: directory);
        await using var other = Create(directory: directory);
        await app.Sync.StartAsync();

        await QueueWhileDownAsync(other, server, "1");

        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request arrives");
    }

    [Fact]
    public async Task A_stop_ends_the_subscription_and_a_second_start_makes_a_new_one()
    {
        await using var app = Create();
        await app.Sync.StartAsync();
        await app.Sync.StartAsync();
        Assert.Equal(1, app.Network.SubscriberCount);

        await app.Sync.StopAsync();
        await app.Sync.StopAsync();
        Assert.Equal(0, app.Network.SubscriberCount);

        await app.Sync.StartAsync();
        Assert.Equal(1, app.Network.SubscriberCount);
    }

    [Theory]
    [InlineData(TestApplication.QueueName)]
    [InlineData(null)]
    public async Task What_another_process_queues_is_sent_when_the_store_hears_of_it(string? signal)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory);
        await using var app = await StartOnAsync(store);

        await AddAsOtherProcessAsync(memory, server.Uri);
        store.Signal("another");
        await LoopSleepsAsync();
        Assert.Empty(server.Requests);
        store.Signal(signal);

        // The clock stands still: only the signal can have woken the loop.
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request arrives");
        await app.Sync.StopAsync();
        Assert.Equal(0, store.SubscriberCount);
    }

    [Fact]
    public async Task A_store_that_cannot_listen_does_not_stop_the_start()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory)
        {
            Before = static operation =>
            {
                if (operation == nameof(IQueueStoreSignals.Subscribe))
                {
                    throw new PlatformNotSupportedException("deaf");
                }
            },
        };
        await using var app = await StartOnAsync(store);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 3041 && line.Exception is PlatformNotSupportedException);

        await AddAsOtherProcessAsync(memory, server.Uri);

        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request arrives");
    }

    private async Task<TestApplication> StartOnAsync(FaultyStore store)
    {
        var app = await StartAsync(services: services => services.AddSingleton<IQueueStore>(store));
        await LoopSleepsAsync();
        return app;
    }

    /// <summary>Waits until the loop has looked at the queue and sleeps: its only timer is that of its next look.</summary>
    private Task LoopSleepsAsync() => Eventually.TrueAsync(
        () => Clock.NextTimerAt >= Clock.GetUtcNow() + TimeSpan.FromMinutes(1), "the loop sleeps");

    private async Task AddAsOtherProcessAsync(MemoryQueueStore store, Uri uri) => await store.AddAsync(
        new NewEntry
        {
            Queue = TestApplication.QueueName,
            Lane = "",
            Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = uri },
            Timestamp = Clock.GetUtcNow(),
        },
        TestContext.Current.CancellationToken);
}

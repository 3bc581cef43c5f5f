using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Fixed waits in the place of the backoff, and the last one, which only a trigger ends.</summary>
public sealed class RetryDelayTests : ReplayFixture
{
    private const string Orders = "http://api.example.com/orders";

    private static readonly TimeSpan _minute = TimeSpan.FromMinutes(1);

    private readonly FakeWire _wire = new();

    public static TheoryData<string, Func<TestApplication, Uri, Task>> Triggers => new()
    {
        { "the network", static (app, _) => RaiseAsync(app) },
        { "a live success", static (app, server) => app.Client.PutAsync(server, null) },
        { "a new entry", static (app, server) => app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server)).AsTask() },
        { "a replay by hand", static (app, _) => app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan) },
    };

    [Fact]
    public async Task Each_failure_at_the_server_waits_as_long_as_the_list_says_and_the_last_repeats()
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = Create(static sync => Wait(sync, _minute, 10 * _minute));
        await QueueWhileDownAsync(app, server, "1");
        List<TimeSpan> waits = [];
        for (var i = 0; i < 3; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
            waits.Add(Assert.Single(await app.EntriesAsync()).DueAt!.Value - Clock.GetUtcNow());
        }

        Assert.Equal([_minute, 10 * _minute, 10 * _minute], waits);
    }

    [Fact]
    public async Task What_the_live_attempt_may_have_brought_to_the_server_waits_the_first()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(static sync => Wait(sync, _minute, 10 * _minute));

        await QueueAsync(app, server.Uri, "1");

        Assert.Equal(Clock.GetUtcNow() + _minute, Assert.Single(await app.EntriesAsync()).DueAt);
    }

    [Fact]
    public async Task A_server_that_cannot_be_reached_is_tried_after_each_wait_and_then_not_before_a_trigger()
    {
        await using var app = await StartOfflineAsync(sync => Wait(sync, _minute, 10 * _minute, Timeout.InfiniteTimeSpan));
        var made = Clock.GetUtcNow();
        await QueueAsync(app, new(Orders), "1");

        await WakeAtAsync(made + _minute);
        await WakeAtAsync(made + (11 * _minute));

        await WaitsForTriggerAsync(app, attempts: 3);
        await PassHoursAsync(app);
        Assert.Equal(3, _wire.Attempts);
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => _wire.Attempts == 4, "it is tried when the network is back");
        var tried = Clock.GetUtcNow();
        await WakeAtAsync(tried + _minute);
        await WakeAtAsync(tried + (11 * _minute));
        await WaitsForTriggerAsync(app, attempts: 6);
    }

    [Fact]
    public async Task A_request_that_is_queued_after_the_last_wait_begins_the_schedule_anew()
    {
        await using var app = await StartOfflineAsync(sync => Wait(sync, _minute, Timeout.InfiniteTimeSpan));
        var made = Clock.GetUtcNow();
        await QueueAsync(app, new(Orders), "1");
        await WakeAtAsync(made + _minute);
        await WaitsForTriggerAsync(app, attempts: 2);

        await QueueAsync(app, new(Orders), "2");

        await WakeAtAsync(made + (2 * _minute));
        await WaitsForTriggerAsync(app, attempts: 4);
        _wire.IsOnline = true;
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, Orders));
        await Eventually.TrueAsync(() => _wire.Received.Count == 3, "all are sent at once");
    }

    [Theory]
    [MemberData(nameof(Triggers), DisableDiscoveryEnumeration = true)]
    public async Task What_the_server_refused_after_the_last_wait_is_tried_again_after(
        string trigger, Func<TestApplication, Uri, Task> pull)
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            var request = await connection.ReadRequestAsync(cancellationToken);
            await connection.RespondAsync(request.Method == "POST" ? 503 : 200, "", [], cancellationToken);
        });
        await using var app = Create(static sync =>
        {
            Wait(sync, Timeout.InfiniteTimeSpan);
            sync.LaneBy(static request => request.Method.Method);
        });
        await QueueWhileDownAsync(app, server, "1");
        await app.Sync.StartAsync();
        await WaitsForTriggerAsync(app, () => Posts() == 1);
        await PassHoursAsync(app);
        Assert.Equal(1, Posts());

        await pull(app, server.Uri);

        await WaitsForTriggerAsync(app, () => Posts() == 2);
        Assert.Equal((2, "The server answered 503."), (await FirstAsync(app)) is var entry ? (entry.Attempts, entry.LastError) : default);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2016);
        Assert.NotEmpty(trigger);

        int Posts() => server.Requests.Count(request => request.Method == "POST");
    }

    [Fact]
    public async Task A_live_success_before_the_last_wait_does_not_cut_the_others_short()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = await StartAsync(static sync => Wait(sync, _minute, Timeout.InfiniteTimeSpan));
        await QueueWhileDownAsync(app, server, "1");
        var putOff = app.Queue.UntilAsync(EntryEventKind.WillRetry);
        app.Network.Raise(NetworkSignal.Available);
        await putOff;

        using var live = await app.Client.PutAsync(server.Uri, null);
        app.Network.Raise(NetworkSignal.Available);
        await Eventually.TrueAsync(() => Polls(app, "Network") == 2, "the event is seen");

        Assert.Equal(Clock.GetUtcNow() + _minute, (await FirstAsync(app)).DueAt);
    }

    [Fact]
    public async Task A_start_tries_what_waited_for_a_trigger_before()
    {
        using var directory = new TempDirectory();
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using (var before = Create(static sync => Wait(sync, Timeout.InfiniteTimeSpan), directory))
        {
            await QueueWhileDownAsync(before, server, "1");
            await before.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
            Assert.Equal(DateTimeOffset.MaxValue, (await FirstAsync(before)).DueAt);
        }

        // Not with the same options: whoever takes the list away must not leave anything behind.
        await using var after = Create(directory: directory);
        await after.Sync.StartAsync();

        await EmptyAsync(after);
    }

    [Fact]
    public async Task A_store_that_fails_at_the_trigger_leaves_nothing_behind()
    {
        FaultyStore? store = null;
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = Create(
            static sync => Wait(sync, Timeout.InfiniteTimeSpan),
            services: services => services.AddSingleton<IQueueStore>(
                store = new FaultyStore(new Http.Storage.Memory.MemoryQueueStore(Clock))));
        await QueueWhileDownAsync(app, server, "1");
        await app.Sync.StartAsync();
        await WaitsForTriggerAsync(app, () => server.Requests.Count == 1);
        var failures = 1;
        store!.Before = operation => _ = operation == nameof(IQueueStore.ClearBackoffAsync) && failures-- > 0
            ? throw new QueueStoreException(StoreFault.Full, "No room.", null)
            : 0;

        app.Network.Raise(NetworkSignal.Available);

        await AdvanceUntilAsync(() => server.Requests.Count == 2, "it is sent when the store is back");
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_wait_without_end_gives_way_to_the_time_that_the_caller_asked_for()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = Create(static sync => Wait(sync, Timeout.InfiniteTimeSpan));
        var opening = Clock.GetUtcNow().AddHours(1);
        using var request = new HttpRequestMessage(HttpMethod.Put, server.Uri);
        request.SetBackgroundSyncNotBefore(opening);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));

        Assert.Equal(opening, (await FirstAsync(app)).DueAt);
    }

    [Fact]
    public async Task The_schedule_of_one_queue_does_not_hold_back_another_nor_is_it_moved_by_it()
    {
        await using var app = Create(
            sync => Wait(sync, Timeout.InfiniteTimeSpan),
            inner: builder => builder.ConfigurePrimaryHttpMessageHandler(() => _wire),
            services: services => services.AddHttpClient("other")
                .AddBackgroundSync("other", static sync => sync.Randomizer = static () => 1)
                .ConfigurePrimaryHttpMessageHandler(() => _wire));
        var other = app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("other");
        await QueueAsync(app, new(Orders), "1");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await other.PushAsync(new HttpRequestMessage(HttpMethod.Put, Orders));
        await other.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(DateTimeOffset.MaxValue, (await FirstAsync(app)).DueAt);
        Assert.Equal(Clock.GetUtcNow().AddSeconds(1), (await other.GetAllAsync().SingleAsync()).DueAt);
    }

    private static void Wait(BackgroundSyncOptions options, params TimeSpan[] delays)
    {
        options.Replay.Interval = TimeSpan.FromHours(1);
        Array.ForEach(delays, options.Retry.Delays.Add);
    }

    private static Task RaiseAsync(TestApplication app)
    {
        app.Network.Raise(NetworkSignal.Available);
        return Task.CompletedTask;
    }

    private static async Task<QueuedEntry> FirstAsync(TestApplication app) => (await app.EntriesAsync())[0];

    private async Task<TestApplication> StartOfflineAsync(Action<BackgroundSyncOptions> configure)
    {
        var app = Create(configure, inner: builder => builder.ConfigurePrimaryHttpMessageHandler(() => _wire));
        await app.Sync.StartAsync();
        await Eventually.TrueAsync(() => Clock.NextTimerAt is not null, "the start is over");
        return app;
    }

    private Task WaitsForTriggerAsync(TestApplication app, int attempts) => WaitsForTriggerAsync(app, () => _wire.Attempts == attempts);

    private static Task WaitsForTriggerAsync(TestApplication app, Func<bool> isTried) => Eventually.TrueAsync(
        () => isTried() && app.EntriesAsync().GetAwaiter().GetResult() is [{ DueAt: { } due }, ..] && due == DateTimeOffset.MaxValue,
        "it was tried, and waits for a trigger");

    /// <summary>Lets the loop look twice because time has passed.</summary>
    private async Task PassHoursAsync(TestApplication app)
    {
        var polls = Polls(app, "Timer");
        for (var i = 1; i <= 2; i++)
        {
            await Eventually.TrueAsync(() => Clock.NextTimerAt > Clock.GetUtcNow().AddMinutes(30), "the loop sleeps");
            await WakeAtAsync(Clock.NextTimerAt!.Value);
            await Eventually.TrueAsync(() => Polls(app, "Timer") >= polls + i, "the loop looks again");
        }
    }
}

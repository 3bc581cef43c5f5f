using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>workbox-background-sync/sw/test-Queue.mjs.</summary>
public sealed class QueueTests : WorkboxFixture
{
    private readonly List<(string Queue, int Attempt, bool IsLast)> _calls = [];

    [Fact]
    public async Task No_1_Throws_if_two_queues_are_created_with_the_same_name()
    {
        var services = new ServiceCollection();
        var builder = services.AddHttpClient("api");
        builder.AddBackgroundSync("foo").AddBackgroundSync("bar");

        Assert.Throws<InvalidOperationException>(() => builder.AddBackgroundSync("foo"));
        Assert.Throws<InvalidOperationException>(() => builder.AddBackgroundSync("bar"));
        builder.AddBackgroundSync("baz");

        // A name is taken for the life of a container, and not of the process.
        await using var other = Open();
        await using var another = Open();
    }

    [Fact]
    public async Task No_2_Runs_OnSync_when_its_queue_is_triggered_and_not_another()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open(Counting(static context => context.ReplayAsync()), Counting(static context => context.ReplayAsync()));
        await app.Queue.PushAsync(Post(server.Uri.AbsoluteUri));

        await app.Sync.StartAsync();

        await EmptyAsync(app);
        await IdleAsync();
        Assert.Equal(TestApplication.QueueName, Assert.Single(_calls).Queue);
    }

    [Fact]
    public async Task No_3_Replays_its_own_requests_by_default()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open();
        await app.Queue.PushAsync(Post(server.Uri.AbsoluteUri, "own"));
        await Other(app).PushAsync(Post(server.Uri.AbsoluteUri, "other's"));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal("own", Assert.Single(server.Requests).Text);
    }

    [Fact]
    public async Task No_4_Syncs_once_more_if_entries_were_added_during_a_successful_sync()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await OpenStartedAsync(Counting(async context =>
        {
            if (_calls.Count == 1)
            {
                (await context.Queue.ShiftAsync())!.Dispose();
                await PushAsync(context.Queue, [.. Enumerable.Repeat(server.Uri.AbsoluteUri, 3)]);
            }
            else
            {
                await context.ReplayAsync();
            }
        }));

        await app.Queue.PushAsync(Post("/one"));

        await EmptyAsync(app);
        await IdleAsync();
        Assert.Equal(2, _calls.Count);
        Assert.Equal(3, server.Requests.Count);
    }

    [Fact]
    public async Task No_5_Does_not_sync_once_more_after_a_sync_fails()
    {
        await using var app = await OpenStartedAsync(Counting(static async context =>
        {
            await context.Queue.PushAsync(Post("/added"));
            throw new InvalidOperationException("sync failed");
        }));

        await app.Queue.PushAsync(Post("/one"));

        // It is the wait that brings about the next.
        var failed = Clock.GetUtcNow();
        await SyncFailedAsync(app, 1);
        await Eventually.TrueAsync(() => Clock.NextTimerAt == failed.AddMinutes(5), "the loop sleeps for five minutes");
        Assert.Single(_calls);
    }

    [Fact]
    public async Task No_6_Syncs_once_more_after_the_last_chance_failed_if_entries_were_added()
    {
        await using var app = await OpenStartedAsync(Counting(static async context =>
        {
            if (context.IsLast)
            {
                await context.Queue.PushAsync(Post("/added"));
            }

            throw new InvalidOperationException("sync failed");
        }));
        var made = Clock.GetUtcNow();

        await app.Queue.PushAsync(Post("/one"));
        await SyncFailedAsync(app, 1);
        await WakeAtAsync(made.AddMinutes(5));
        await SyncFailedAsync(app, 2);
        await WakeAtAsync(made.AddMinutes(20));

        await SyncFailedAsync(app, 4);
        await Eventually.TrueAsync(() => Clock.NextTimerAt == made.AddMinutes(25), "the next schedule has begun");
        Assert.Equal([(1, false), (2, false), (3, true), (1, false)], _calls.Select(call => (call.Attempt, call.IsLast)));
    }

    [Fact]
    public async Task No_7_Syncs_on_a_start_and_not_on_construction()
    {
        using var directory = new TempDirectory();
        await using (var before = Open(directory: directory))
        {
            await before.Queue.PushAsync(Post("/one"));
        }

        // Whatever the platform: to be made is no start here, and every start syncs what is there.
        await using var app = Open(Counting(static context => context.Queue.ClearAsync().AsTask()), directory: directory);
        Assert.Equal(1, (await app.Queue.CountAsync()).Pending);
        Assert.Empty(_calls);
        await app.Sync.StartAsync();

        await EmptyAsync(app);
        await IdleAsync();
        Assert.Single(_calls);
    }

    [Fact]
    public async Task No_8_Syncs_on_a_start_where_no_event_ever_comes()
    {
        // forceSyncFallback is for browsers whose Sync API is there and does nothing. A network that says nothing is the same.
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(200));
        await using (var before = Open(directory: directory))
        {
            await before.Queue.PushAsync(Post(server.Uri.AbsoluteUri));
        }

        await using var app = Open(
            Counting(static context => context.ReplayAsync()),
            directory: directory,
            services: static services => services.AddSingleton<INetworkStatus, SilentNetwork>());
        await app.Sync.StartAsync();

        await EmptyAsync(app);
        await IdleAsync();
        Assert.Single(_calls);
    }

    [Fact]
    public async Task No_9_Push_adds_the_request_at_the_end_as_it_is()
    {
        await using var app = Open();
        await PushAsync(app.Queue, "/before");

        var id = await AddAsync(app, end: QueueEnd.Back);

        Assert.Equal(["/before", "/one"], await PathsAsync(app.Queue));
        await AssertAsAddedAsync(app, id);
    }

    [Fact]
    public async Task No_10_Push_does_not_require_metadata()
    {
        await using var app = Open();

        await app.Queue.PushAsync(Post("/one"));

        Assert.Empty(Assert.Single(await app.EntriesAsync()).Metadata);
    }

    [Fact]
    public async Task No_11_Push_uses_the_current_time_when_none_is_given()
    {
        await using var app = Open();

        await app.Queue.PushAsync(Post("/one"));

        Assert.Equal(Clock.GetUtcNow(), Assert.Single(await app.EntriesAsync()).Timestamp);
    }

    [Fact]
    public async Task No_12_Push_triggers_its_queue_for_a_GET_too()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await OpenStartedAsync(
            Counting(static context => context.ReplayAsync()), Counting(static context => context.ReplayAsync()));
        await IdleAsync();

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Get, server.Uri));

        await EmptyAsync(app);
        await IdleAsync();
        Assert.Equal("GET", Assert.Single(server.Requests).Method);
        Assert.Equal(TestApplication.QueueName, Assert.Single(_calls).Queue);
    }

    [Fact]
    public async Task No_13_Unshift_adds_the_request_at_the_beginning_as_it_is()
    {
        await using var app = Open();
        await PushAsync(app.Queue, "/behind");

        var id = await AddAsync(app, end: QueueEnd.Front);

        Assert.Equal(["/one", "/behind"], await PathsAsync(app.Queue));
        await AssertAsAddedAsync(app, id);
    }

    [Fact]
    public async Task No_14_Unshift_does_not_require_metadata()
    {
        await using var app = Open();

        await app.Queue.UnshiftAsync(Post("/one"));

        Assert.Empty(Assert.Single(await app.EntriesAsync()).Metadata);
    }

    [Fact]
    public async Task No_15_Unshift_uses_the_current_time_when_none_is_given()
    {
        await using var app = Open();

        await app.Queue.UnshiftAsync(Post("/one"));

        Assert.Equal(Clock.GetUtcNow(), Assert.Single(await app.EntriesAsync()).Timestamp);
    }

    [Fact]
    public async Task No_16_Unshift_triggers_its_queue()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await OpenStartedAsync(
            Counting(static context => context.ReplayAsync()), Counting(static context => context.ReplayAsync()));
        await IdleAsync();

        await app.Queue.UnshiftAsync(Post(server.Uri.AbsoluteUri));

        await EmptyAsync(app);
        await IdleAsync();
        Assert.Equal(TestApplication.QueueName, Assert.Single(_calls).Queue);
    }

    [Fact]
    public async Task No_17_Shift_gets_and_removes_the_first_request()
    {
        await using var app = Open();
        await AddAsync(app, QueueEnd.Back);
        await PushAsync(app.Queue, "/two");

        using var taken = await app.Queue.ShiftAsync();

        await AssertAsAddedAsync(taken!);
        Assert.Equal(["/two"], await PathsAsync(app.Queue));
    }

    [Fact]
    public async Task No_18_Shift_returns_the_timestamp_and_the_metadata()
    {
        await using var app = Open();
        var made = Clock.GetUtcNow().AddHours(-1);
        await app.Queue.PushAsync(Post("/one", note: "meta"), made);

        using var taken = await app.Queue.ShiftAsync();

        Assert.Equal((made, "meta"), (taken!.Entry.Timestamp, taken.Entry.Metadata["name"]));
    }

    [Fact]
    public async Task No_19_Shift_does_not_return_expired_requests()
    {
        await using var app = Open();
        await PushInTurnAsync(app);

        Assert.Equal(["/2", "/4"], await TakeAllAsync(() => app.Queue.ShiftAsync()));

        Assert.Equal((0, 0), await CountAsync(app.Queue));
    }

    [Fact]
    public async Task No_20_Pop_gets_and_removes_the_last_request()
    {
        await using var app = Open();
        await PushAsync(app.Queue, "/two");
        await AddAsync(app, QueueEnd.Back);

        using var taken = await app.Queue.PopAsync();

        await AssertAsAddedAsync(taken!);
        Assert.Equal(["/two"], await PathsAsync(app.Queue));
    }

    [Fact]
    public async Task No_21_Pop_returns_the_timestamp_and_the_metadata()
    {
        await using var app = Open();
        var made = Clock.GetUtcNow().AddHours(-1);
        await app.Queue.PushAsync(Post("/one", note: "meta"), made);

        using var taken = await app.Queue.PopAsync();

        Assert.Equal((made, "meta"), (taken!.Entry.Timestamp, taken.Entry.Metadata["name"]));
    }

    [Fact]
    public async Task No_22_Pop_does_not_return_expired_requests()
    {
        await using var app = Open();
        await PushInTurnAsync(app);

        Assert.Equal(["/4", "/2"], await TakeAllAsync(() => app.Queue.PopAsync()));

        Assert.Equal((0, 0), await CountAsync(app.Queue));
    }

    [Fact]
    public async Task No_23_Replay_sends_all_requests_of_the_queue_in_order()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open();
        await PushInterleavedAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(["/one", "/three", "/five"], server.Requests.Select(request => request.Target));
        await Other(app).ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["/two", "/four"], server.Requests.Skip(3).Select(request => request.Target));
    }

    [Fact]
    public async Task No_24_Replay_removes_requests_after_a_successful_retry()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open();
        await PushInterleavedAsync(app, server);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Empty(await PathsAsync(app.Queue));
        Assert.Equal(["/two", "/four"], await PathsAsync(Other(app)));
    }

    [Fact]
    public async Task No_25_Replay_ignores_and_removes_requests_past_their_retention()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open(static sync => sync.MaxRetentionTime = TimeSpan.FromMinutes(1));
        await PushAsync(app.Queue, new Uri(server.Uri, "one").AbsoluteUri, new Uri(server.Uri, "two").AbsoluteUri);
        Clock.Advance(TimeSpan.FromMinutes(1) + TimeSpan.FromMilliseconds(1));
        await PushAsync(app.Queue, new Uri(server.Uri, "three").AbsoluteUri);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal("/three", Assert.Single(server.Requests).Target);
        Assert.Equal((0, 0), await CountAsync(app.Queue));
    }

    [Fact]
    public async Task No_26_Replay_stops_if_a_request_fails()
    {
        // Each on a connection of its own, so that the runtime does not send the fourth again by itself.
        var answer = Scripts.Respond(200, ("Connection", "close"));
        await using var server = new RawServer(RawServer.Sequence(answer, answer, answer, Scripts.ResetAfterRequest()));
        await using var app = Open();
        foreach (var path in (string[])["1", "2", "3", "4", "5"])
        {
            await app.Queue.PushAsync(Post(new Uri(server.Uri, path).AbsoluteUri, $"body {path}", $"note {path}"));
        }

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(new ReplaySummary(Delivered: 3, DeadLettered: 0, Remaining: 2, Completed: true), summary);
        Assert.Equal(["/1", "/2", "/3", "/4"], server.Requests.Select(request => request.Target));
        Assert.Equal("body 4", server.Requests[3].Text);
        var left = await app.EntriesAsync();
        Assert.Equal([("/4", "note 4"), ("/5", "note 5")], left.Select(entry => (entry.Request.Uri.AbsolutePath, entry.Metadata["name"])));
        Assert.Equal("body 4", await TextAsync(app.Queue, left[0].Id));
    }

    [Fact]
    public async Task No_27_Replay_says_that_a_request_failed()
    {
        // In place of an error that drops its cause: how many remain, and which one failed and why.
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open();
        await PushAsync(app.Queue, server.Uri.AbsoluteUri, $"http://127.0.0.1:{RawServer.RefusedPort()}/two");

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1), (summary.Delivered, summary.Remaining));
        var left = Assert.Single(await app.EntriesAsync());
        Assert.Equal("/two", left.Request.Uri.AbsolutePath);
        Assert.Contains(nameof(HttpRequestError.ConnectionError), left.LastError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_28_Registers_where_the_network_says_nothing()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await OpenStartedAsync(services: static services => services.AddSingleton<INetworkStatus, SilentNetwork>());

        await app.Queue.PushAsync(Post(server.Uri.AbsoluteUri));

        await EmptyAsync(app);
    }

    [Fact]
    public async Task No_29_Swallows_what_a_registration_throws()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await OpenStartedAsync(services: static services => services.AddSingleton<INetworkStatus, BrokenNetwork>());

        await app.Queue.PushAsync(Post(server.Uri.AbsoluteUri));

        await EmptyAsync(app);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 3040 && line.Exception is PlatformNotSupportedException);
        await app.Sync.StopAsync();
    }

    [Fact]
    public async Task No_30_Get_all_returns_all_requests_in_order()
    {
        await using var app = Open();
        await app.Queue.PushAsync(Post("/one", note: "meta"));
        await PushAsync(app.Queue, "/two", "/three");

        var all = await app.EntriesAsync();

        Assert.Equal(
            [("/one", 1), ("/two", 0), ("/three", 0)], all.Select(entry => (entry.Request.Uri.AbsolutePath, entry.Metadata.Count)));
        Assert.Equal("meta", all[0].Metadata["name"]);
        Assert.Equal(3, (await app.Queue.CountAsync()).Pending);
    }

    [Fact]
    public async Task No_31_Get_all_tells_expired_entries_from_others_and_deletes_nothing()
    {
        // A look into a queue must not change it: what is expired goes when entries are taken or replayed.
        await using var app = Open();
        await PushAsync(app.Queue, "/1");
        await app.Queue.PushAsync(Post("/2"), LongAgo);
        await PushAsync(app.Queue, "/3");

        var unexpired = app.Queue.GetAllAsync(new EntryFilter { Predicate = entry => entry.ExpiresAt >= Clock.GetUtcNow() });

        Assert.Equal(["/1", "/3"], await unexpired.Select(entry => entry.Request.Uri.AbsolutePath).ToListAsync());
        Assert.Equal((3, 1), await app.Queue.CountAsync() is var counts ? (counts.Pending, counts.Expired) : default);
        (await app.Queue.ShiftAsync())!.Dispose();
        Assert.Equal(["/3"], await PathsAsync(app.Queue));
    }

    [Fact]
    public async Task No_32_Count_returns_the_number_of_requests()
    {
        await using var app = Open();

        await PushAsync(app.Queue, "/1", "/2", "/3");

        Assert.Equal(3, (await app.Queue.CountAsync()).Pending);
    }

    private Action<BackgroundSyncOptions> Counting(Func<SyncContext, Task> onSync) => sync => sync.OnSync = (context, _) =>
    {
        _calls.Add((context.Queue.Name, context.Attempt, context.IsLast));
        return onSync(context);
    };

    private ValueTask<long> AddAsync(TestApplication app, QueueEnd end)
    {
        var request = new HttpRequestMessage(HttpMethod.Put, Api + "/one?q=1") { Content = new ByteArrayContent([0, 1, 254, 255]) };
        request.Headers.Add("X-Foo", "bar");
        request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["name"] = "meta" });
        var made = Clock.GetUtcNow().AddHours(-1);
        return end == QueueEnd.Back ? app.Queue.PushAsync(request, made) : app.Queue.UnshiftAsync(request, made);
    }

    private async Task AssertAsAddedAsync(TestApplication app, long id)
    {
        var entry = (await app.Queue.FindAsync(id))!;
        AssertAsAdded(entry);
        Assert.Equal([0, 1, 254, 255], await app.BodyOfAsync(id));
    }

    private async Task AssertAsAddedAsync(TakenEntry taken)
    {
        AssertAsAdded(taken.Entry);
        Assert.Equal((HttpMethod.Put, Api + "/one?q=1"), (taken.Request.Method, taken.Request.RequestUri!.AbsoluteUri));
        Assert.Equal(["bar"], taken.Request.Headers.GetValues("X-Foo"));
        Assert.Equal([0, 1, 254, 255], await taken.Request.Content!.ReadAsByteArrayAsync());
    }

    private void AssertAsAdded(QueuedEntry entry)
    {
        Assert.Equal((HttpMethod.Put, Api + "/one?q=1"), (entry.Request.Method, entry.Request.Uri.AbsoluteUri));
        Assert.Equal([new("X-Foo", "bar")], entry.Request.Headers);
        Assert.Equal((Clock.GetUtcNow().AddHours(-1), "meta"), (entry.Timestamp, entry.Metadata["name"]));
    }

    /// <summary>Pushes four, of which the first and the third have expired.</summary>
    private async Task PushInTurnAsync(TestApplication app)
    {
        await app.Queue.PushAsync(Post("/1"), LongAgo);
        await app.Queue.PushAsync(Post("/2"));
        await app.Queue.PushAsync(Post("/3"), LongAgo);
        await app.Queue.PushAsync(Post("/4"));
    }

    private static async Task PushInterleavedAsync(TestApplication app, RawServer server)
    {
        foreach (var (queue, path) in ((IBackgroundSyncQueue, string)[])
            [(app.Queue, "one"), (Other(app), "two"), (app.Queue, "three"), (Other(app), "four"), (app.Queue, "five")])
        {
            await PushAsync(queue, new Uri(server.Uri, path).AbsoluteUri);
        }
    }

    private sealed class SilentNetwork : INetworkStatus, IDisposable
    {
        public IDisposable Subscribe(Action<NetworkSignal> onSignal) => this;

        public void Dispose()
        {
        }
    }

    private sealed class BrokenNetwork : INetworkStatus
    {
        public IDisposable Subscribe(Action<NetworkSignal> onSignal) =>
            throw new PlatformNotSupportedException("There is no network here.");
    }
}

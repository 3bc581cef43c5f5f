using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>Behaviour that Workbox never tests (facts/workbox.md, B.8), and partly gets wrong (A.4).</summary>
public sealed class NeverTestedTests : WorkboxFixture
{
    public static TheoryData<string, Func<Task>> OddEnds => new()
    {
        { "throws at once", static () => throw new InvalidOperationException("No.") },
        { "throws later", static async () => { await Task.Yield(); throw new Odd(); } },
        { "was cancelled by somebody else", static () => Task.FromCanceled(new CancellationToken(canceled: true)) },
        { "has failed with many", static () => Task.WhenAll(Task.FromException(new Odd()), Task.FromException(new Odd())) },
        { "returns nothing to wait for", static () => null! },
    };

    [Fact]
    public async Task Concurrent_replays_send_each_request_once_and_in_order()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await OpenStartedAsync();
        await app.Queue.PauseAsync("All at once.");
        string[] paths = [.. Enumerable.Range(0, 30).Select(i => $"/{i}")];
        await PushAsync(app.Queue, [.. paths.Select(path => new Uri(server.Uri, path).AbsoluteUri)]);
        await app.Queue.ResumeAsync();

        app.Network.Raise(NetworkSignal.Available);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan))));

        await EmptyAsync(app);
        Assert.Equal(paths, server.Requests.Select(request => request.Target));
    }

    [Fact]
    public async Task A_crash_during_a_send_loses_nothing()
    {
        // The store as a crash would leave it. Trials/KillTests kills real processes.
        using var left = new TempDirectory();
        await using var server = new RawServer(RawServer.Sequence(Scripts.NeverAnswer(), Scripts.Respond(200)));
        await using var app = await OpenStartedAsync();
        await app.Queue.PushAsync(Post(server.Uri.AbsoluteUri, "two apples"));
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request is being sent");
        Assert.True(Assert.Single(await app.EntriesAsync()).IsLeased);
        foreach (var file in (string[])["queues.db", "queues.db-wal"])
        {
            await CopyAsync(Path.Combine(Path.GetDirectoryName(app.Path)!, file), left.File(file));
        }

        await using var next = Open(directory: left);
        await next.Sync.StartAsync();

        await EmptyAsync(next);
        Assert.Equal(["two apples", "two apples"], server.Requests.Select(request => request.Text));
        Assert.Equal(server.Requests[0].ValuesOf("Idempotency-Key"), server.Requests[1].ValuesOf("Idempotency-Key"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_5xx_to_a_replay_delivers_by_the_rules_of_Workbox_only(bool asWorkbox)
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = asWorkbox ? Open() : Create();
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((asWorkbox ? 0 : 1, 0), await CountAsync(app.Queue));
    }

    [Fact]
    public async Task Order_holds_through_zero_and_through_failed_replays_of_two_queues()
    {
        await using var app = Open();
        var down = $"http://127.0.0.1:{RawServer.RefusedPort()}";
        foreach (var queue in (IBackgroundSyncQueue[])[app.Queue, Other(app)])
        {
            await PushAsync(queue, $"{down}/4", $"{down}/5");
        }

        for (var i = 3; i >= 1; i--)
        {
            foreach (var queue in (IBackgroundSyncQueue[])[Other(app), app.Queue])
            {
                await queue.ReplayAsync(Timeout.InfiniteTimeSpan);
                await queue.UnshiftAsync(Post($"{down}/{i}"));
                using var first = await queue.ShiftAsync();
                await queue.UnshiftAsync(first!.Request, first.Entry.Timestamp);
            }
        }

        Assert.Equal(["/1", "/2", "/3", "/4", "/5"], await PathsAsync(app.Queue));
        Assert.Equal(["/1", "/2", "/3", "/4", "/5"], await PathsAsync(Other(app)));
    }

    [Fact]
    public async Task A_HEAD_is_queued_and_sent_again()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open(static sync => sync.Routes.Add("HEAD /"));
        await server.StopAsync();
        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(new(HttpMethod.Head, server.Uri)));
        server.Start();

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((0, 0), await CountAsync(app.Queue));
        Assert.Equal(("HEAD", 0), (Assert.Single(server.Requests).Method, server.Requests[0].Body.Length));
    }

    [Fact]
    public async Task A_retention_of_zero_is_refused_and_not_taken_for_the_default()
    {
        await using var app = Open(static sync => sync.MaxRetentionTime = TimeSpan.Zero);

        var invalid = await Assert.ThrowsAsync<OptionsValidationException>(() => app.Sync.StartAsync());

        Assert.Contains("MaxRetentionTime is 00:00:00", invalid.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_fails_while_a_request_is_queued_does_not_hide_the_failure_of_the_network()
    {
        await using var app = Open(services: services => services.AddSingleton<IQueueStore>(new FaultyStore(new MemoryQueueStore(Clock))
        {
            Before = static operation => _ = operation == nameof(IQueueStore.AddAsync)
                ? throw new QueueStoreException(StoreFault.Full, "No room.")
                : 0,
        }));
        var uri = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/");

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(uri, null));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Equal("No room.", failure.GetNotQueuedReason());
    }

    [Fact]
    public async Task The_handler_keeps_to_the_options_of_its_queue()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open(static sync =>
        {
            sync.Routes.Add("PUT /orders/{order}");
            sync.MaxRetentionTime = TimeSpan.FromMinutes(60);
            sync.WhenQueued = WhenQueued.ReturnAccepted;
        });
        await server.StopAsync();
        using var accepted = await app.Client.PutAsync(new Uri(server.Uri, "orders/7"), null);
        await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PutAsync(server.Uri, null));
        server.Start();
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(Clock.GetUtcNow().AddMinutes(60), entry.ExpiresAt);
        Clock.Advance(TimeSpan.FromMinutes(61));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Empty(server.Requests);
        Assert.Equal((0, 0), await CountAsync(app.Queue));
    }

    [Fact]
    public async Task Metadata_and_timestamp_survive_shift_and_unshift()
    {
        await using var app = Open();
        var made = Clock.GetUtcNow().AddDays(-6);
        await app.Queue.PushAsync(Post("/1", "body", "meta"), made);

        for (var i = 0; i < 3; i++)
        {
            using var taken = await app.Queue.ShiftAsync();
            await app.Queue.UnshiftAsync(taken!.Request, taken.Entry.Timestamp);
        }

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((made, made.AddDays(7), "meta"), (entry.Timestamp, entry.ExpiresAt, entry.Metadata["name"]));
        Assert.Equal("body", await TextAsync(app.Queue, entry.Id));
    }

    [Theory]
    [MemberData(nameof(OddEnds), DisableDiscoveryEnumeration = true)]
    public async Task An_OnSync_is_a_failure_that(string what, Func<Task> end)
    {
        // Workbox takes whatever is no Error for a success, and drops the sync.
        List<int> attempts = [];
        await using var app = await OpenStartedAsync(sync => sync.OnSync = (context, _) =>
        {
            attempts.Add(context.Attempt);
            return end();
        });
        var made = Clock.GetUtcNow();
        await app.Queue.PushAsync(Post("/1"));

        await SyncFailedAsync(app, 1);
        await WakeAtAsync(made.AddMinutes(5));

        await SyncFailedAsync(app, 2);
        await Eventually.TrueAsync(() => Clock.NextTimerAt == made.AddMinutes(20), "it waits for the third attempt");
        Assert.Equal([1, 2], attempts);
        Assert.Equal(1, (await app.Queue.CountAsync()).Pending);
        Assert.NotEmpty(what);
    }

    [Fact]
    public async Task Two_that_share_a_store_send_each_request_once_and_in_order()
    {
        // Trials/TwoProcessTests has real processes.
        using var directory = new TempDirectory();
        await using var server = new RawServer(Scripts.Respond(200));
        await using var left = Open(directory: directory);
        await using var right = Open(directory: directory);
        string[] paths = [.. Enumerable.Range(0, 30).Select(i => $"/{i}")];
        await PushAsync(left.Queue, [.. paths.Select(path => new Uri(server.Uri, path).AbsoluteUri)]);

        await Task.WhenAll(left.Sync.StartAsync(), right.Sync.StartAsync());
        await AdvanceUntilAsync(() => server.Requests.Count == paths.Length, "all are sent");

        await EmptyAsync(left);
        Assert.Equal(paths, server.Requests.Select(request => request.Target));
    }

    private static async Task CopyAsync(string from, string to)
    {
        // As another process would read it: the file is open.
        await using var source = new FileStream(from, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        await using var target = new FileStream(to, FileMode.CreateNew);
        await source.CopyToAsync(target);
    }

    private sealed class Odd : Exception;
}

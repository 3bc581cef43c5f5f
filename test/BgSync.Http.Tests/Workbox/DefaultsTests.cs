using System.Net;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>The defaults of <see cref="BackgroundSyncOptions.UseWorkboxDefaults"/> (facts/workbox.md, A.2 and C.2).</summary>
public sealed class DefaultsTests : WorkboxFixture
{
    [Fact]
    public async Task A_request_is_tried_at_0_and_5_and_20_minutes_and_then_when_something_happens()
    {
        var uri = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/orders");
        await using var app = await OpenStartedAsync();
        await IdleAsync();
        var made = Clock.GetUtcNow();

        await QueueAsync(app, uri, "two apples");
        Assert.Equal(made.AddMinutes(5), await DueAtAsync(app));
        await WakeAtAsync(made.AddMinutes(5));
        await DueAsync(app, made.AddMinutes(20));
        await WakeAtAsync(made.AddMinutes(20));
        await DueAsync(app, DateTimeOffset.MaxValue);

        // Chrome would leave it there when the network is back.
        app.Network.Raise(NetworkSignal.Available);
        await DueAsync(app, made.AddMinutes(25));
    }

    [Fact]
    public async Task A_start_gives_what_was_left_there_three_more_attempts()
    {
        // In Chrome nothing but a push does (facts/workbox.md, Q8).
        using var directory = new TempDirectory();
        var uri = $"http://127.0.0.1:{RawServer.RefusedPort()}/orders";
        await using (var before = await OpenInAsync(directory))
        {
            await before.Queue.PushAsync(Post(uri));
            await DueAsync(before, Clock.GetUtcNow().AddMinutes(5));
            await WakeAtAsync(Clock.GetUtcNow().AddMinutes(5));
            await DueAsync(before, Clock.GetUtcNow().AddMinutes(15));
            await WakeAtAsync(Clock.GetUtcNow().AddMinutes(15));
            await DueAsync(before, DateTimeOffset.MaxValue);
        }

        await using var after = await OpenInAsync(directory);

        await DueAsync(after, Clock.GetUtcNow().AddMinutes(5));

        async Task<TestApplication> OpenInAsync(TempDirectory place)
        {
            var app = Open(directory: place);
            await app.Sync.StartAsync();
            return app;
        }
    }

    [Theory]
    [InlineData(201)]
    [InlineData(401)]
    [InlineData(404)]
    [InlineData(429)]
    [InlineData(503)]
    public async Task Any_response_delivers(int status)
    {
        await using var server = new RawServer(Scripts.Respond(status));
        await using var app = Open();
        await QueueWhileDownAsync(app, server, "1");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((0, 0), await CountAsync(app.Queue));
        Assert.Null(await app.Queue.GetPauseAsync());
    }

    [Fact]
    public async Task A_live_response_goes_to_the_caller_whatever_its_status()
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = Open();

        using var response = await app.Client.PostAsync(server.Uri, null);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal((0, 0), await CountAsync(app.Queue));
    }

    [Fact]
    public async Task A_request_that_fails_holds_back_all_behind_it_whatever_their_server()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open();
        await PushAsync(app.Queue, $"http://127.0.0.1:{RawServer.RefusedPort()}/one", server.Uri.AbsoluteUri);

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(new ReplaySummary(0, 0, Remaining: 2, Completed: true), summary);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_request_lives_for_seven_days_to_the_moment()
    {
        await using var app = Open();
        await PushAsync(app.Queue, "/1", "/2");

        Clock.Advance(TimeSpan.FromDays(7));
        using (var taken = await app.Queue.ShiftAsync())
        {
            Assert.Equal("/1", taken!.Request.RequestUri!.AbsolutePath);
        }

        Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null(await app.Queue.ShiftAsync());
        Assert.Equal((0, 0), await CountAsync(app.Queue));
        // Workbox says nothing of it.
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2030 && line.Message.Contains("Expired", StringComparison.Ordinal));
    }

    [Fact]
    public async Task They_win_over_what_was_set_before_and_not_over_what_is_set_after()
    {
        var options = new BackgroundSyncOptions
        {
            MaxRetentionTime = TimeSpan.FromDays(1),
            WhenQueued = WhenQueued.ReturnAccepted,
        };
        options.Retry.MaxAttempts = 3;
        options.LaneBy(static request => request.Method.Method);
        options.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable);
        options.Retry.Delays.Add(TimeSpan.FromSeconds(1));
        options.Overtaking = Overtaking.Never;
        options.Retry.SkipAfterAttempts = 2;

        options.UseWorkboxDefaults();
        options.UseWorkboxDefaults();

        Assert.Null(options.Lane);
        Assert.Empty(options.QueuedStatuses);
        Assert.Equal([TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(15), Timeout.InfiniteTimeSpan], options.Retry.Delays);
        Assert.Equal(
            (int.MaxValue, null, TimeSpan.FromDays(7)), (
                options.Retry.MaxAttempts, options.Retry.SkipAfterAttempts, options.MaxRetentionTime));
        Assert.True(options.DeadLetters.DiscardExpired);
        Assert.Equal((WhenQueued.Throw, Overtaking.Allowed), (options.WhenQueued, options.Overtaking));
        options.ClassifyResponse = static (_, _) => new(ResponseVerdict.Retry);
        Assert.Equal(ResponseVerdict.Retry, await options.ClassifyResponse(new(), default));
    }

    private static async Task<DateTimeOffset?> DueAtAsync(TestApplication app) =>
        (await app.EntriesAsync()) is [{ IsLeased: false } first] ? first.DueAt : null;

    private static Task DueAsync(TestApplication app, DateTimeOffset at) => Eventually.TrueAsync(
        () => DueAtAsync(app).GetAwaiter().GetResult() == at,
        () => $"it is due at {at:u} and not at {DueAtAsync(app).GetAwaiter().GetResult():u}");
}

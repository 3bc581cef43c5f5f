using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The more urgent first: in a lane, among lanes, and before what waits.</summary>
public sealed class PriorityTests : ReplayFixture
{
    [Fact]
    public async Task Those_of_a_lane_arrive_the_more_urgent_first_and_equals_in_the_order_queued()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await server.StopAsync();
        await QueueAsync(app, server.Uri, EntryPriority.Low, "6", "7");
        await QueueAsync(app, server.Uri, EntryPriority.Normal, "4", "5");
        await QueueAsync(app, server.Uri, EntryPriority.High, "1", "2", "3");
        server.Start();

        Assert.Equal(7, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        Assert.Equal(["1", "2", "3", "4", "5", "6", "7"], server.Requests.Select(request => request.Text));
    }

    [Fact]
    public async Task Of_several_lanes_the_one_with_the_more_urgent_head_is_sent_first()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync =>
        {
            sync.Replay.MaxConcurrentLanes = 1;
            sync.LaneBy(request => request.RequestUri!.AbsolutePath);
        });
        await server.StopAsync();
        await QueueAsync(app, new Uri(server.Uri, "/low"), EntryPriority.Low, "3");
        await QueueAsync(app, new Uri(server.Uri, "/normal"), EntryPriority.Normal, "2");
        await QueueAsync(app, new Uri(server.Uri, "/high"), EntryPriority.High, "1");
        server.Start();

        Assert.Equal(3, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        Assert.Equal(["1", "2", "3"], server.Requests.Select(request => request.Text));
    }

    [Fact]
    public async Task An_urgent_one_is_sent_at_once_although_its_lane_waits_as_its_caller_asked()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync();
        using var later = new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("normal") };
        later.SetBackgroundSyncNotBefore(Clock.GetUtcNow() + TimeSpan.FromMinutes(2));
        await app.Queue.PushAsync(later);

        await PushAsync(app, server.Uri, EntryPriority.High, "urgent");

        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the urgent one is sent");
        await AdvanceUntilAsync(() => server.Requests.Count == 2, "the other is sent when its wait is over");
        await EmptyAsync(app);
        Assert.Equal(["urgent", "normal"], server.Requests.Select(request => request.Text));
    }

    [Fact]
    public async Task An_urgent_one_that_cannot_be_delivered_is_not_overtaken_in_its_lane()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = Create();
        await PushAsync(app, server.Uri, EntryPriority.Normal, "normal");
        await PushAsync(app, server.Uri, EntryPriority.High, "urgent");

        Assert.Equal(0, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Assert.Equal(2, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        Assert.Equal(["urgent", "urgent", "normal"], server.Requests.Select(request => request.Text));
    }

    private static async Task QueueAsync(TestApplication app, Uri uri, EntryPriority priority, params string[] bodies)
    {
        foreach (var body in bodies)
        {
            using var request = Request(uri, priority, body);
            await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        }
    }

    private static async Task PushAsync(TestApplication app, Uri uri, EntryPriority priority, string body)
    {
        using var request = Request(uri, priority, body);
        await app.Queue.PushAsync(request);
    }

    private static HttpRequestMessage Request(Uri uri, EntryPriority priority, string body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, uri) { Content = new StringContent(body) };
        request.SetBackgroundSyncPriority(priority);
        return request;
    }
}

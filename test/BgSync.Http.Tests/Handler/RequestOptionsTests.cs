using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>The options that one request may set for the queue.</summary>
public sealed class RequestOptionsTests : ReplayFixture
{
    private static readonly Uri _deadUri = new($"http://127.0.0.1:{RawServer.RefusedPort()}/orders");

    [Fact]
    public async Task One_that_is_not_to_be_queued_fails_as_if_there_were_no_queue()
    {
        await using var app = Create();
        using var request = Request();
        request.DoNotQueue();

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(request));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Null(failure.GetNotQueuedReason());
        Assert.False(request.Headers.Contains("Idempotency-Key"));
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_names_the_queue_is_queued_though_no_route_matches(bool isAsync)
    {
        await using var app = Create(sync => sync.Routes.Add(HttpMethod.Post, "/elsewhere"));
        using var request = Request(HttpMethod.Get);
        request.SetBackgroundSyncQueue(TestApplication.QueueName);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request, isAsync));

        Assert.Equal(HttpMethod.Get, Assert.Single(await app.EntriesAsync()).Request.Method);
    }

    [Fact]
    public async Task Of_several_queues_the_one_that_is_named_takes_it()
    {
        await using var app = Create(inner: builder => builder.AddBackgroundSync("inner"));
        using var request = Request();
        request.SetBackgroundSyncQueue(TestApplication.QueueName);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));

        Assert.Equal(TestApplication.QueueName, queued.Queue);
    }

    [Fact]
    public async Task A_queue_of_another_client_is_an_error_that_names_those_there_are()
    {
        await using var app = Create(services: services => services.AddHttpClient("other").AddBackgroundSync("theirs"));
        using var request = Request();
        request.SetBackgroundSyncQueue("theirs");

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => app.Client.SendAsync(request));

        Assert.EndsWith("Name one of these: test.", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_last_word_on_the_queue_counts()
    {
        await using var app = Create();
        using var request = Request();
        request.SetBackgroundSyncQueue(TestApplication.QueueName);
        request.DoNotQueue();

        await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(request));
    }

    [Fact]
    public async Task Its_lane_counts_more_than_LaneBy()
    {
        await using var app = Create(sync => sync.LaneBy(_ => "of all"));

        Assert.Equal("its own", (await QueueAsync(app, request => request.SetBackgroundSyncLane("its own"))).Lane);
        Assert.Equal("", (await QueueAsync(app, request => request.SetBackgroundSyncLane(""))).Lane);
    }

    [Fact]
    public async Task It_is_as_urgent_as_it_says()
    {
        await using var app = Create();

        Assert.Equal(EntryPriority.Normal, (await QueueAsync(app, static _ => { })).Priority);
        Assert.Equal(
            EntryPriority.High, (await QueueAsync(app, request => request.SetBackgroundSyncPriority(EntryPriority.High))).Priority);
        Assert.Equal([EntryPriority.High, EntryPriority.Normal], (await app.EntriesAsync()).Select(entry => entry.Priority));
    }

    [Fact]
    public async Task The_earlier_of_retention_and_deadline_is_when_it_expires()
    {
        await using var app = Create();
        var now = Clock.GetUtcNow();

        Assert.Equal(now.AddDays(7), (await QueueAsync(app, static _ => { })).ExpiresAt);
        Assert.Equal(now.AddDays(30), (await QueueAsync(app, RetainFor(TimeSpan.FromDays(30)))).ExpiresAt);
        Assert.Equal(DateTimeOffset.MaxValue, (await QueueAsync(app, RetainFor(Timeout.InfiniteTimeSpan))).ExpiresAt);
        Assert.Equal(now.AddHours(1), (await QueueAsync(app, Until(now.AddHours(1)))).ExpiresAt);
        Assert.Equal(now.AddDays(7), (await QueueAsync(app, Until(now.AddDays(8)))).ExpiresAt);
        Assert.Equal(
            now.AddDays(8), (await QueueAsync(app, RetainFor(Timeout.InfiniteTimeSpan) + Until(now.AddDays(8)))).ExpiresAt);
    }

    [Fact]
    public async Task Past_its_deadline_it_becomes_a_dead_letter()
    {
        await using var app = Create();
        var entry = await QueueAsync(app, Until(Clock.GetUtcNow().AddHours(1)));

        Clock.Advance(TimeSpan.FromHours(1) + TimeSpan.FromMilliseconds(1));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal((entry.Id, DeadLetterCause.Expired), (letter.Id, letter.Cause));
    }

    [Fact]
    public async Task One_that_fails_after_its_deadline_is_not_queued()
    {
        await using var app = Create();
        using var request = Request();
        request.SetBackgroundSyncDeadline(Clock.GetUtcNow().AddSeconds(-1));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(request));

        Assert.Contains("deadline", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task Before_its_time_neither_the_network_nor_a_hand_sends_it_nor_what_stands_behind_it()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync();
        await server.StopAsync();
        await QueueAsync(app, request => request.SetBackgroundSyncNotBefore(Clock.GetUtcNow().AddHours(1)), server.Uri);
        await QueueAsync(app, server.Uri, "behind");
        server.Start();

        app.Network.Raise(NetworkSignal.Available);
        Assert.Equal(0, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(0, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Clock.Advance(TimeSpan.FromMinutes(1));

        await EmptyAsync(app);
        Assert.Equal(["order", "behind"], server.Requests.Select(request => request.Text));
    }

    [Fact]
    public async Task Behind_another_it_waits_for_its_time_too()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await server.StopAsync();
        await QueueAsync(app, server.Uri, "before");
        await QueueAsync(app, request => request.SetBackgroundSyncNotBefore(Clock.GetUtcNow().AddHours(1)), server.Uri);
        server.Start();

        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
    }

    [Fact]
    public async Task A_backoff_that_ends_before_its_time_does_not_shorten_the_wait()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = Create(sync => sync.Retry.MinBackoff = TimeSpan.FromSeconds(10));
        var notBefore = Clock.GetUtcNow().AddSeconds(5);
        await QueueAsync(app, request => request.SetBackgroundSyncNotBefore(notBefore), server.Uri);

        Assert.Equal(0, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        Assert.Equal(Clock.GetUtcNow().AddSeconds(10), Assert.Single(await app.EntriesAsync()).DueAt);
    }

    [Fact]
    public void What_makes_no_sense_is_refused()
    {
        using var request = Request();

        Assert.Throws<ArgumentOutOfRangeException>(() => request.SetBackgroundSyncRetention(TimeSpan.Zero));
        Assert.Throws<ArgumentException>(() => request.SetBackgroundSyncQueue(""));
        Assert.Throws<ArgumentNullException>(() => request.SetBackgroundSyncLane(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => request.SetBackgroundSyncPriority((EntryPriority)2));
    }

    [Fact]
    public void A_note_that_cannot_be_stored_is_refused()
    {
        using var request = Request();

        Assert.Throws<ArgumentException>(() => request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["title"] = null! }));
        var half = Assert.Throws<ArgumentException>(
            () => request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["title"] = "\ud83c" }));
        Assert.Contains("The note 'title' cannot be stored.", half.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Notes_are_those_of_when_they_were_set()
    {
        await using var app = Create();
        var notes = new Dictionary<string, string> { ["title"] = "apples" };

        var entry = await QueueAsync(app, request =>
        {
            request.SetBackgroundSyncMetadata(notes);
            notes["title"] = "pears";
        });

        Assert.Equal("apples", entry.Metadata["title"]);
    }

    private static HttpRequestMessage Request(HttpMethod? method = null, Uri? uri = null) =>
        new(method ?? HttpMethod.Post, uri ?? _deadUri) { Content = method == HttpMethod.Get ? null : new StringContent("order") };

    private static Action<HttpRequestMessage> RetainFor(TimeSpan retention) => request => request.SetBackgroundSyncRetention(retention);

    private static Action<HttpRequestMessage> Until(DateTimeOffset deadline) => request => request.SetBackgroundSyncDeadline(deadline);

    private static async Task<QueuedEntry> QueueAsync(TestApplication app, Action<HttpRequestMessage> ask, Uri? uri = null)
    {
        using var request = Request(uri: uri);
        ask(request);
        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        return (await app.EntriesAsync()).Single(entry => entry.Id == queued.EntryId);
    }
}

using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>A request of a client with two queues that neither of them watches.</summary>
public sealed class TwoQueuesTests : ReplayFixture
{
    private static readonly TimeSpan _timeout = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Unwatched_request_passes_both_queues_untouched()
    {
        HttpRequestMessage? seen = null;
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = CreateWithTwoQueues(request => seen = request);
        using var content = new StringContent("unwatched");
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Uri, "/other")) { Content = content };

        using var response = await app.Client.SendAsync(request);

        Assert.Equal(503, (int)response.StatusCode);
        Assert.Same(request, seen);
        Assert.Same(content, request.Content);
        Assert.Empty(request.Headers);
        Assert.Empty(request.Options);
        Assert.Equal("unwatched", Assert.Single(server.Requests).Text);
        await AssertNothingQueuedAsync(app);
    }

    [Fact]
    public async Task Unwatched_request_ends_at_the_clients_time_out_and_is_not_queued()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = CreateWithTwoQueues(static _ => { });
        var sending = app.Client.PostAsync(new Uri(server.Uri, "/other"), new StringContent("unwatched"));
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the server has read the request");

        Clock.Advance(_timeout - TimeSpan.FromMilliseconds(1));
        Assert.False(sending.IsCompleted);
        Clock.Advance(TimeSpan.FromMilliseconds(1));

        var timedOut = await Assert.ThrowsAsync<TaskCanceledException>(() => Eventually.DoneAsync(sending, "the time-out"));
        Assert.IsType<TimeoutException>(timedOut.InnerException);
        await AssertNothingQueuedAsync(app);
    }

    private static async Task AssertNothingQueuedAsync(TestApplication app)
    {
        var inner = app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>("inner");
        Assert.Equal((0, 0), ((await app.Queue.CountAsync()).Pending, (await inner.CountAsync()).Pending));
    }

    private TestApplication CreateWithTwoQueues(Action<HttpRequestMessage> observe) => Create(
        static sync => sync.Routes.Add("/orders"),
        client: static builder => builder.ConfigureHttpClient(static client => client.Timeout = _timeout),
        inner: builder => builder
            .AddBackgroundSync("inner", static sync => sync.Routes.Add("/orders"))
            .AddHttpMessageHandler(() => new ObservingHandler(observe)));
}

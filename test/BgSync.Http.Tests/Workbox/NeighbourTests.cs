using System.Globalization;
using System.Web;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>Tests of the packages that meet the background sync: workbox-strategies and workbox-google-analytics.</summary>
public sealed class NeighbourTests : WorkboxFixture
{
    [Fact]
    public async Task No_67_A_failure_is_seen_once_by_each_handler_in_order_and_reaches_the_caller()
    {
        List<string> seen = [];
        var uri = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/orders");
        await using var app = Open(
            client: builder => builder
                .AddHttpMessageHandler(() => new FailureHandler("outer", seen))
                .AddHttpMessageHandler(() => new ObservingHandler(static request => request.Headers.Add("X-Changed", "1"))),
            inner: builder => builder
                .AddBackgroundSync("of-no-route", static sync => sync.Routes.Add("/letters"))
                .AddHttpMessageHandler(() => new FailureHandler("inner", seen)));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(uri, null));

        Assert.Equal(["inner HttpRequestException", "outer RequestQueuedException"], seen);
        Assert.Equal(HttpRequestError.ConnectionError, Assert.IsType<HttpRequestException>(queued.InnerException).HttpRequestError);
        // The request as the handlers outside have made it is the one that is kept.
        Assert.Equal(
            "1", Assert.Single(Assert.Single(await app.EntriesAsync()).Request.Headers, header => header.Key == "X-Changed").Value);
    }

    [Fact]
    public async Task No_68_A_request_may_be_changed_or_dropped_at_replay_time()
    {
        // Google Analytics: the age of a hit is added to the one that it has, parameters are overridden, and private hits left out.
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Open(sync => sync.OnReplaying = async (context, token) =>
        {
            var parameters = HttpUtility.ParseQueryString(await context.Request.Content!.ReadAsStringAsync(token));
            if (parameters["v"] == "private")
            {
                context.Drop("It is private.");
            }

            var age = (Clock.GetUtcNow() - context.Entry.Timestamp).TotalMilliseconds;
            parameters["qt"] = (age + int.Parse(parameters["qt"] ?? "0", CultureInfo.InvariantCulture))
                .ToString(CultureInfo.InvariantCulture);
            parameters["cd"] = "offline";
            context.Request.Content = new StringContent(parameters.ToString()!);
        });
        using (await app.Client.PostAsync(server.Uri, new StringContent("v=0")))
        {
            Assert.Equal("v=0", Assert.Single(server.Requests).Text);
        }

        await QueueWhileDownAsync(app, server, "v=1", "v=private", "v=2&qt=500&cd=online");
        Clock.Advance(TimeSpan.FromSeconds(3));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["v=1&qt=3000&cd=offline", "v=2&qt=3500&cd=offline"], server.Requests.Skip(1).Select(request => request.Text));
        Assert.Equal(0, (await app.Queue.CountAsync()).Pending);
    }

    private sealed class FailureHandler(string name, List<string> seen) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return await base.SendAsync(request, cancellationToken);
            }
            catch (Exception failure)
            {
                seen.Add($"{name} {failure.GetType().Name}");
                throw;
            }
        }
    }
}

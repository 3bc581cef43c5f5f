using System.Net;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>A handler outside of the queue that nobody knows, and that sends a failed request again.</summary>
public sealed class OuterRetryTests
{
    private static readonly Uri _refused = new($"http://127.0.0.1:{RawServer.RefusedPort()}/orders");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_that_a_handler_outside_sends_again_is_one_entry(bool isCopied)
    {
        await using var app = Create(isCopied);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(_refused, new StringContent("order")));

        Assert.Equal(queued.EntryId, Assert.Single(await app.EntriesAsync()).Id);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_that_is_sent_again_does_not_reach_a_server_that_is_back(bool isCopied)
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = Create(isCopied);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(server.Uri, new StringContent("order")));

        Assert.Single(server.Requests);
        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_caller_who_is_told_by_a_response_is_told_the_same_entry()
    {
        await using var app = new TestApplication(
            sync => sync.WhenQueued = WhenQueued.ReturnAccepted,
            client: builder => builder.AddHttpMessageHandler(() => new RetryingHandler(isCopying: false, untilAnswered: false)));

        using var response = await app.Client.PostAsync(_refused, new StringContent("order"));

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal(
            $"{Assert.Single(await app.EntriesAsync()).Id}", Assert.Single(response.Headers.GetValues(BackgroundSyncHeaders.EntryId)));
    }

    [Fact]
    public async Task A_request_that_the_application_repeats_after_its_entry_was_removed_is_queued_again()
    {
        await using var app = new TestApplication();
        HttpRequestMessage Post()
        {
            var request = new HttpRequestMessage(HttpMethod.Post, _refused) { Content = new StringContent("order") };
            request.Headers.Add("Idempotency-Key", "mine");
            return request;
        }

        var first = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Post()));
        await app.Queue.RemoveAsync(first.EntryId);
        var second = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Post()));

        Assert.NotEqual(first.EntryId, second.EntryId);
        Assert.Equal(second.EntryId, Assert.Single(await app.EntriesAsync()).Id);
    }

    [Fact]
    public async Task A_call_of_gRPC_is_refused_and_not_sent()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();
        using var content = new ByteArrayContent([0, 0, 0, 0, 0]);
        content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => app.Client.PostAsync(server.Uri, content));

        Assert.Contains("gRPC", failure.Message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    private static TestApplication Create(bool isCopied) => new(
        client: builder => builder.AddHttpMessageHandler(() => new RetryingHandler(isCopied, untilAnswered: true)));

    /// <summary>Sends a request three times, as it is or as copies of it.</summary>
    private sealed class RetryingHandler(bool isCopying, bool untilAnswered) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            for (var i = 1; ; i++)
            {
                try
                {
                    var response = await base.SendAsync(request, cancellationToken);
                    if (untilAnswered || i == 3)
                    {
                        return response;
                    }
                }
                catch (HttpRequestException) when (i < 3)
                {
                    request = isCopying ? await CopyAsync(request) : request;
                }
            }
        }

        private static async Task<HttpRequestMessage> CopyAsync(HttpRequestMessage request)
        {
            var copy = new HttpRequestMessage(request.Method, request.RequestUri)
            {
                Content = new ByteArrayContent(await request.Content!.ReadAsByteArrayAsync()),
            };
            foreach (var (name, values) in request.Headers)
            {
                copy.Headers.TryAddWithoutValidation(name, values);
            }

            foreach (var option in request.Options)
            {
                ((IDictionary<string, object?>)copy.Options)[option.Key] = option.Value;
            }

            return copy;
        }
    }
}

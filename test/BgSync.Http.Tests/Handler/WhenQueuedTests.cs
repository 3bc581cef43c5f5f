using System.Globalization;
using System.Net;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>The handler tells the caller and the server of queueing, and leaves other requests alone.</summary>
public sealed class WhenQueuedTests
{
    private static readonly Uri _deadUri = new($"http://127.0.0.1:{RawServer.RefusedPort()}/orders");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task By_default_the_caller_gets_an_exception_that_names_the_entry(bool isAsync)
    {
        await using var app = new TestApplication();

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(Post(_deadUri), isAsync));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((TestApplication.QueueName, entry.Id), (queued.Queue, queued.EntryId));
        Assert.Equal(HttpRequestError.ConnectionError, queued.HttpRequestError);
        Assert.IsType<HttpRequestException>(queued.InnerException);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ReturnAccepted_gives_a_202_that_names_the_entry(bool isAsync)
    {
        await using var app = new TestApplication(sync => sync.WhenQueued = WhenQueued.ReturnAccepted);
        using var request = Post(_deadUri);

        using var response = await app.Client.SendAsync(request, isAsync);

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal(
            entry.Id.ToString(CultureInfo.InvariantCulture), Assert.Single(response.Headers.GetValues(BackgroundSyncHeaders.EntryId)));
        Assert.Same(request, response.RequestMessage);
        Assert.True(request.TryGetBackgroundSyncEntryId(out var entryId));
        Assert.Equal(entry.Id, entryId);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_that_is_answered_names_no_entry(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(202));
        await using var app = new TestApplication(sync => sync.WhenQueued = WhenQueued.ReturnAccepted);
        using var request = Post(server.Uri);
        var content = request.Content;

        using var response = await app.Client.SendAsync(request, isAsync);

        Assert.False(response.Headers.Contains(BackgroundSyncHeaders.EntryId));
        Assert.False(request.TryGetBackgroundSyncEntryId(out _));
        Assert.Same(content, request.Content);
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [InlineData("POST", true)]
    [InlineData("PATCH", true)]
    [InlineData("PUT", false)]
    [InlineData("DELETE", false)]
    public async Task A_key_is_minted_only_for_what_is_not_idempotent(string method, bool isMinted)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();

        using var response = await app.Client.SendAsync(new HttpRequestMessage(new(method), server.Uri));

        Assert.Equal(isMinted ? 1 : 0, Assert.Single(server.Requests).ValuesOf("Idempotency-Key").Count);
    }

    [Theory]
    [InlineData(IdempotencyKeyFormat.Bare, "Idempotency-Key", "")]
    [InlineData(IdempotencyKeyFormat.QuotedString, "Idempotency-Key", "\"")]
    [InlineData(IdempotencyKeyFormat.Bare, "X-Request-Id", "")]
    public async Task A_key_is_a_UUID_in_the_header_and_the_format_that_the_options_say(
        IdempotencyKeyFormat format, string header, string quote)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication(sync => (sync.IdempotencyKeyHeader, sync.IdempotencyKeyFormat) = (header, format));

        using var response = await app.Client.SendAsync(Post(server.Uri));

        var key = Assert.Single(Assert.Single(server.Requests).ValuesOf(header));
        Assert.Equal(key, $"{quote}{Guid.Parse(key.Trim('"'))}{quote}");
    }

    [Theory]
    [InlineData("mine")]
    [InlineData(null)]
    public async Task The_live_attempt_and_every_replay_carry_one_key(string? own)
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(500), Scripts.Respond(200)));
        await using var app = new TestApplication();
        using var request = Post(server.Uri);
        if (own is not null)
        {
            request.Headers.Add("Idempotency-Key", own);
        }

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(3, server.Requests.Count);
        var key = Assert.Single(server.Requests.SelectMany(read => read.ValuesOf("Idempotency-Key")).Distinct());
        Assert.Equal(own ?? key, key);
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [InlineData("Request-Id")]
    [InlineData("Authorization")]
    public async Task A_key_in_a_header_that_is_not_stored_is_refused_when_the_application_starts(string header)
    {
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = header);

        var refused = Assert.ThrowsAny<Exception>(() => app.Client);

        Assert.Contains(nameof(BackgroundSyncOptions.IdempotencyKeyHeader), refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/orders")]
    [InlineData("POST", "/elsewhere")]
    public async Task A_request_that_no_route_matches_is_untouched(string method, string path)
    {
        await using var app = new TestApplication(
            sync => sync.Routes.Add(HttpMethod.Post, "/orders"),
            primary: () => new ThrowingHandler(() => new HttpRequestException("as it was")));
        using var request = new HttpRequestMessage(new(method), new Uri(_deadUri, path)) { Content = new PushContent([1]) };
        var content = request.Content;

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(request));

        Assert.Equal("as it was", failure.Message);
        Assert.Empty(failure.Data);
        Assert.Empty(request.Headers);
        Assert.Empty(request.Options);
        Assert.Same(content, request.Content);
        Assert.Empty(await app.EntriesAsync());
    }

    private static HttpRequestMessage Post(Uri uri) => new(HttpMethod.Post, uri) { Content = new PushContent("order"u8.ToArray()) };
}

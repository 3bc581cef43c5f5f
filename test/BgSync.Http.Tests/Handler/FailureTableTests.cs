using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>
/// The tables of what SocketsHttpHandler throws, row by row: what the caller gets, what is in the store, and how often the server
/// has read the request.
/// </summary>
public sealed class FailureTableTests
{
    private const int LargeBody = 20 * 1024 * 1024;

    /// <summary>The request never left, or certainly was not processed: queued whatever it is.</summary>
    public static TheoryData<string, Script?, string, HttpRequestError> NotSent => new()
    {
        { "refused", null, "http", HttpRequestError.ConnectionError },
        { "a certificate that nobody trusts", Scripts.OverTls(Scripts.Respond(200)), "https", HttpRequestError.SecureConnectionError },
        { "a reset in the handshake", Scripts.ResetInHandshake(), "https", HttpRequestError.SecureConnectionError },
    };

    /// <summary>The server may have processed it: queued when the request is idempotent or keyed.</summary>
    public static TheoryData<string, Script, HttpRequestError> MaybeProcessed => new()
    {
        { "closed after the request", Scripts.CloseAfterRequest(), HttpRequestError.ResponseEnded },
        { "reset after the request", Scripts.ResetAfterRequest(), HttpRequestError.Unknown },
        { "garbage", Scripts.AnswerGarbage(), HttpRequestError.InvalidResponse },
        { "headers over the limit", Scripts.OversizeHeaders(200), HttpRequestError.ConfigurationLimitExceeded },
    };

    /// <summary>Over HTTP/2: may have been processed.</summary>
    public static TheoryData<string, Script> Http2MaybeProcessed => new()
    {
        { "INTERNAL_ERROR", Scripts.Http2ResetStream(Http2ErrorCode.InternalError) },
        { "CANCEL", Scripts.Http2ResetStream(Http2ErrorCode.Cancel) },
        { "the connection aborted", Scripts.Http2Abort() },
    };

    /// <summary>Failures of inner handlers that prove no defect of the request.</summary>
    public static TheoryData<string, Exception> Foreign => new()
    {
        { "offline", new HttpRequestException("There is no connection to the Internet.") },
        { "a token handler", new InvalidOperationException("Sign in first.") },
        { "a token's status", new HttpRequestException("", null, HttpStatusCode.InternalServerError) },
        { "a handler gave up by itself", new OperationCanceledException("by itself") },
        { "a fault of a handler", new NullReferenceException() },
    };

    /// <summary>Content that throws while it is read.</summary>
    public static TheoryData<string, HttpContent> Unreadable => new()
    {
        { "an exception of its own", Throwing(new InvalidDataException("The camera was unplugged.")) },
        { "a wrong use", Throwing(new InvalidOperationException("The camera was unplugged.")) },
        { "an I/O failure", Throwing(new IOException("The camera was unplugged.")) },
        { "a cancellation", Throwing(new OperationCanceledException("The camera was unplugged.")) },
        { "JSON that goes in circles", JsonContent.Create(new Circle()) },
        { "disposed", Disposed() },
    };

    [Theory]
    [MemberData(nameof(NotSent), DisableDiscoveryEnumeration = true)]
    public async Task A_request_that_never_left_is_queued_even_without_a_key(
        string situation, Script? script, string scheme, HttpRequestError error)
    {
        await using var server = script is null ? null : new RawServer(script);
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);
        var uri = new Uri($"{scheme}://127.0.0.1:{server?.Port ?? RawServer.RefusedPort()}/orders");

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, uri));

        Assert.Equal(error, queued.HttpRequestError);
        Assert.Equal(error, Assert.IsType<HttpRequestException>(queued.InnerException).HttpRequestError);
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((queued.EntryId, uri, 0), (entry.Id, entry.Request.Uri, entry.Attempts));
        Assert.Empty(server?.Requests ?? []);
        Assert.NotEmpty(situation);
    }

    [Fact]
    public async Task An_unknown_host_is_queued()
    {
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, new("http://no-such-host.invalid/orders")));

        Assert.Equal(HttpRequestError.NameResolutionError, queued.HttpRequestError);
        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_reset_right_after_accept_is_queued_however_it_surfaces()
    {
        await using var server = new RawServer(Scripts.ResetOnAccept());
        await using var app = new TestApplication();

        for (var i = 0; i < 50; i++)
        {
            await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.Uri));
        }

        Assert.Equal(50, (await app.EntriesAsync()).Count);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_bare_SocketException_is_queued()
    {
        await using var app = new TestApplication(
            sync => sync.IdempotencyKeyHeader = null,
            primary: () => new ThrowingHandler(() => new SocketException((int)SocketError.NotConnected)));

        await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, new("http://127.0.0.1/orders")));

        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_connect_timeout_is_queued_and_costs_no_attempt()
    {
        await using var server = new RawServer(Scripts.NeverRead());
        await using var app = new TestApplication(
            sync => sync.IdempotencyKeyHeader = null,
            primary: () => new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromMilliseconds(100) });

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.SecureUri));

        Assert.IsType<TaskCanceledException>(queued.InnerException);
        Assert.Equal(0, Assert.Single(await app.EntriesAsync()).Attempts);
        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData(407, false)]
    [InlineData(403, false)]
    [InlineData(502, true)]
    [InlineData(503, true)]
    public async Task A_proxy_that_opens_no_tunnel_is_queued_unless_it_refuses(int status, bool isQueued)
    {
        await using var proxy = new RawServer(Scripts.Respond(status));
        await using var app = new TestApplication(
            sync => sync.IdempotencyKeyHeader = null,
            primary: () => new SocketsHttpHandler { Proxy = new WebProxy(proxy.Uri) });

        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => PostAsync(app, new("https://127.0.0.1:9/orders")));

        Assert.Equal(HttpRequestError.ProxyTunnelError, failure.HttpRequestError);
        Assert.Equal(isQueued, failure is RequestQueuedException);
        Assert.Equal(isQueued ? 1 : 0, (await app.EntriesAsync()).Count);
    }

    [Fact]
    public async Task A_proxy_that_is_down_is_queued()
    {
        await using var app = new TestApplication(
            sync => sync.IdempotencyKeyHeader = null,
            primary: () => new SocketsHttpHandler { Proxy = new WebProxy("127.0.0.1", RawServer.RefusedPort()) });

        await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, new("http://127.0.0.1:9/orders")));

        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_plain_proxy_that_fails_answers_like_a_server()
    {
        await using var proxy = new RawServer(Scripts.Respond(502));
        await using var app = new TestApplication(primary: () => new SocketsHttpHandler { Proxy = new WebProxy(proxy.Uri) });

        using var response = await PostAsync(app, new("http://127.0.0.1:9/orders"));

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [MemberData(nameof(MaybeProcessed), DisableDiscoveryEnumeration = true)]
    public async Task A_request_that_was_read_is_queued_with_the_key_that_the_server_saw(
        string situation, Script script, HttpRequestError error)
    {
        await using var server = new RawServer(script);
        await using var app = new TestApplication();

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.Uri));

        Assert.Equal(error, queued.HttpRequestError);
        var read = Assert.Single(server.Requests);
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(1, entry.Attempts);
        Assert.Equal(
            Assert.Single(read.ValuesOf("Idempotency-Key")),
            Assert.Single(entry.Request.Headers, header => header.Key == "Idempotency-Key").Value);
        Assert.NotEmpty(situation);
    }

    [Theory]
    [InlineData("POST", false)]
    [InlineData("PATCH", false)]
    [InlineData("PUT", true)]
    [InlineData("DELETE", true)]
    public async Task Without_keys_a_request_that_was_read_is_queued_only_when_it_is_idempotent(string method, bool isQueued)
    {
        // With a body, so that the runtime does not send it again by itself.
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);
        using var request = new HttpRequestMessage(new(method), server.Uri) { Content = new StringContent("order") };

        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => app.Client.SendAsync(request));

        Assert.Equal(isQueued, failure is RequestQueuedException);
        Assert.Equal(isQueued ? 1 : 0, (await app.EntriesAsync()).Count);
        Assert.Equal(isQueued, failure.GetNotQueuedReason() is null);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_key_of_the_callers_own_is_kept_and_makes_a_POST_repeatable()
    {
        await using var server = new RawServer(Scripts.CloseAfterRequest());
        await using var app = new TestApplication();
        using var request = new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("order") };
        request.Headers.Add("Idempotency-Key", "mine");

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));

        Assert.Equal(["mine"], Assert.Single(server.Requests).ValuesOf("Idempotency-Key"));
        Assert.Equal("mine", Assert.Single(Assert.Single(await app.EntriesAsync()).Request.Headers).Value);
    }

    [Fact]
    public async Task A_reset_during_an_upload_is_queued_whole()
    {
        await using var server = new RawServer(Scripts.ResetDuringUpload(1_000_000));
        await using var app = new TestApplication();
        var body = TestBytes.Random(LargeBody);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(server.Uri, new ByteArrayContent(body)));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(body, await app.BodyOfAsync(entry.Id));
        Assert.False(Assert.Single(server.Requests).Complete);
    }

    [Fact]
    public async Task An_early_413_looks_like_a_reset_and_is_found_out_on_replay()
    {
        await using var server = new RawServer(Scripts.AnswerBeforeBody(413));
        await using var app = new TestApplication();

        await Assert.ThrowsAsync<RequestQueuedException>(
            () => app.Client.PostAsync(server.Uri, new ByteArrayContent(TestBytes.Random(LargeBody))));
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((0, 1, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal(413, Assert.Single(await app.DeadLettersAsync()).StatusCode);
        Assert.Equal(2, server.Requests.Count);
    }

    [Theory]
    [MemberData(nameof(MaybeProcessed), DisableDiscoveryEnumeration = true)]
    public async Task Without_a_key_an_answer_that_is_none_goes_to_the_caller(string situation, Script script, HttpRequestError error)
    {
        await using var server = new RawServer(script);
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(app, server.Uri));

        Assert.Equal(error, failure.HttpRequestError);
        Assert.NotNull(failure.GetNotQueuedReason());
        Assert.Empty(await app.EntriesAsync());
        Assert.Single(server.Requests);
        Assert.NotEmpty(situation);
    }

    [Theory]
    [MemberData(nameof(Foreign), DisableDiscoveryEnumeration = true)]
    public async Task A_failure_of_an_inner_handler_that_proves_nothing_is_queued_only_with_a_key(string situation, Exception failure)
    {
        await using var keyed = new TestApplication(primary: () => new SendingHandler(failure));
        await using var unkeyed = new TestApplication(
            sync => sync.IdempotencyKeyHeader = null, primary: () => new SendingHandler(failure));

        await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(keyed, new("http://127.0.0.1/orders")));
        await Assert.ThrowsAsync(failure.GetType(), () => PostAsync(unkeyed, new("http://127.0.0.1/orders")));

        Assert.Equal(1, Assert.Single(await keyed.EntriesAsync()).Attempts);
        Assert.Empty(await unkeyed.EntriesAsync());
        Assert.NotEmpty(situation);
    }

    [Theory]
    [MemberData(nameof(Foreign), DisableDiscoveryEnumeration = true)]
    public async Task A_failure_of_an_inner_handler_before_the_body_was_asked_for_is_no_attempt(string situation, Exception failure)
    {
        await using var app = new TestApplication(
            static sync => sync.IdempotencyKeyHeader = null, primary: () => new ThrowingHandler(() => failure));

        await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, new("http://127.0.0.1/orders")));

        Assert.Equal(0, Assert.Single(await app.EntriesAsync()).Attempts);
        Assert.NotEmpty(situation);
    }

    [Fact]
    public async Task Control_characters_of_a_server_reach_neither_the_caller_nor_the_entry_nor_the_log()
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await connection.WriteAsync("\u001b]0;owned\u0007\u001b[2J\r\n\r\n", cancellationToken);
            connection.Close();
        });
        await using var app = new TestApplication();

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.Uri));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Contains("owned", queued.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(queued.Message, char.IsControl);
        var error = Assert.Single(await app.EntriesAsync()).LastError!;
        Assert.Contains("owned", error, StringComparison.Ordinal);
        Assert.DoesNotContain(error, char.IsControl);
        Assert.DoesNotContain(app.Logs.Lines, line => line.Message.Contains('\u001b', StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_replay_that_an_offline_handler_refuses_is_made_again()
    {
        await using var app = new TestApplication(
            primary: () => new ThrowingHandler(() => new HttpRequestException("There is no connection to the Internet.")));
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, "http://127.0.0.1/orders"));

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((0, 0, 1), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Contains("There is no connection", Assert.Single(await app.EntriesAsync()).LastError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_truncated_body_of_a_success_is_a_success()
    {
        await using var server = new RawServer(Scripts.TruncateBody(200));
        await using var app = new TestApplication();

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(app, server.Uri));

        Assert.Equal(HttpRequestError.ResponseEnded, (failure.InnerException as HttpIOException)?.HttpRequestError);
        Assert.Empty(await app.EntriesAsync());
        Assert.Single(server.Requests);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task A_live_response_is_the_servers_answer_whatever_its_status(int status)
    {
        await using var server = new RawServer(Scripts.Respond(status));
        await using var app = new TestApplication();

        using var response = await PostAsync(app, server.Uri);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Empty(await app.EntriesAsync());
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_status_that_the_options_name_is_queued_with_the_wait_that_the_server_asked_for()
    {
        await using var server = new RawServer(Scripts.Respond(503, ("Retry-After", "120")));
        var clock = new TestClock();
        await using var app = new TestApplication(sync => sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable), clock: clock);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.Uri));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, queued.StatusCode);
        Assert.Equal(clock.GetUtcNow().AddSeconds(120), Assert.Single(await app.EntriesAsync()).DueAt);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_status_that_the_options_name_goes_to_the_caller_when_it_cannot_be_queued()
    {
        await using var server = new RawServer(Scripts.Respond(503));
        await using var app = new TestApplication(sync =>
        {
            sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable);
            sync.IdempotencyKeyHeader = null;
        });

        using var response = await PostAsync(app, server.Uri);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_refused_HTTP2_stream_is_certainly_not_processed()
    {
        await using var server = new RawServer(Scripts.Http2ResetStream(Http2ErrorCode.RefusedStream));
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.Uri, http2: true));

        Assert.Equal(HttpRequestError.HttpProtocolError, queued.HttpRequestError);
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact), (entry.Request.Version, entry.Request.VersionPolicy));
        // The runtime tries some times by itself before it gives up.
        Assert.NotEmpty(server.Requests);
    }

    [Theory]
    [MemberData(nameof(Http2MaybeProcessed), DisableDiscoveryEnumeration = true)]
    public async Task A_broken_HTTP2_stream_is_queued_only_with_a_key(string situation, Script script)
    {
        await using var server = new RawServer(script);
        await using var keyed = new TestApplication();
        await using var unkeyed = new TestApplication(sync => sync.IdempotencyKeyHeader = null);

        await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(keyed, server.Uri, http2: true));
        await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(unkeyed, server.Uri, http2: true));

        Assert.Single(await keyed.EntriesAsync());
        Assert.Empty(await unkeyed.EntriesAsync());
        Assert.Equal(2, server.Requests.Count);
        Assert.NotEmpty(situation);
    }

    [Fact]
    public async Task An_HTTP2_connection_that_breaks_before_its_first_request_is_certainly_not_processed()
    {
        await using var server = new RawServer(Scripts.SpeakFirst());
        await using var app = new TestApplication(
            sync => sync.IdempotencyKeyHeader = null,
            primary: () => new SocketsHttpHandler { ConnectCallback = ConnectAndWaitForServerAsync });

        await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.Uri, http2: true));
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((0, 0, 1), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal(0, Assert.Single(await app.EntriesAsync()).Attempts);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task HTTP2_with_prior_knowledge_against_an_older_server_is_not_lost_when_keyed()
    {
        await using var server = new RawServer(Scripts.AnswerGarbage());
        await using var app = new TestApplication();

        await Assert.ThrowsAsync<RequestQueuedException>(() => PostAsync(app, server.Uri, http2: true));

        Assert.Single(await app.EntriesAsync());
    }

    [Theory]
    [InlineData("DELETE")]
    [InlineData("POST")]
    public async Task What_the_runtime_sends_again_by_itself_is_not_queued(string method)
    {
        await using var server = new RawServer(RawServer.Sequence(
            Scripts.Respond(200), Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = new TestApplication();
        using var first = await app.Client.GetAsync(server.Uri);

        using var response = await app.Client.SendAsync(new HttpRequestMessage(new(method), server.Uri));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(await app.EntriesAsync());
        Assert.Equal(3, server.Requests.Count);
        Assert.Equal(server.Requests[1].ValuesOf("Idempotency-Key"), server.Requests[2].ValuesOf("Idempotency-Key"));
    }

    [Fact]
    public async Task What_the_runtime_does_not_send_again_is_queued()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(200), Scripts.CloseAfterRequest()));
        await using var app = new TestApplication();
        using var first = await app.Client.GetAsync(server.Uri);

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PutAsync(server.Uri, new StringContent("order")));

        Assert.Equal(HttpRequestError.ResponseEnded, queued.HttpRequestError);
        Assert.Single(await app.EntriesAsync());
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task A_header_that_cannot_be_written_is_the_callers_defect()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();
        using var request = new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("order") };
        request.Headers.TryAddWithoutValidation("X-Name", "Łódź");

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.SendAsync(request));

        Assert.Equal(HttpRequestError.Unknown, failure.HttpRequestError);
        Assert.NotNull(failure.GetNotQueuedReason());
        Assert.Empty(await app.EntriesAsync());
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_length_that_is_not_the_bodys_is_the_callers_defect()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();
        using var content = new ByteArrayContent([1, 2, 3]);
        content.Headers.ContentLength = 2;

        await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(server.Uri, content));

        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_stream_that_was_read_before_is_the_callers_defect()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();
        using var content = new StreamContent(new OneShotStream([1, 2, 3]));
        await content.CopyToAsync(Stream.Null);

        await Assert.ThrowsAnyAsync<Exception>(() => app.Client.PostAsync(server.Uri, content));

        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task Content_that_throws_while_it_is_sent_throws_to_the_caller()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();
        using var content = new StreamContent(new OneShotStream(new byte[100_000], failAt: 50_000));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(server.Uri, content));

        Assert.Equal(OneShotStream.FailureMessage, failure.InnerException?.Message);
        Assert.Contains("body", failure.GetNotQueuedReason(), StringComparison.Ordinal);
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [MemberData(nameof(Unreadable), DisableDiscoveryEnumeration = true)]
    public async Task Content_that_cannot_be_read_is_not_queued_whatever_it_throws(string situation, HttpContent content)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication();

        var failure = await Assert.ThrowsAnyAsync<Exception>(() => app.Client.PostAsync(server.Uri, content));

        Assert.IsNotType<RequestQueuedException>(failure);
        Assert.Empty(await app.EntriesAsync());
        Assert.NotEmpty(situation);
    }

    [Fact]
    public async Task A_relative_URI_passes_through_untouched()
    {
        await using var app = new TestApplication();

        await Assert.ThrowsAsync<InvalidOperationException>(() => app.Client.PostAsync("orders", new StringContent("order")));

        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_scheme_that_is_not_HTTP_is_the_callers_defect()
    {
        await using var app = new TestApplication();

        await Assert.ThrowsAsync<NotSupportedException>(() => PostAsync(app, new("ftp://127.0.0.1/orders")));

        Assert.Empty(await app.EntriesAsync());
    }

    private static async Task<HttpResponseMessage> PostAsync(TestApplication app, Uri uri, bool http2 = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, uri) { Content = new StringContent("order") };
        if (http2)
        {
            (request.Version, request.VersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
        }

        return await app.Client.SendAsync(request);
    }

    private static PushContent Throwing(Exception failure) => new((_, _) => throw failure);

    private static StringContent Disposed()
    {
        var content = new StringContent("order");
        content.Dispose();
        return content;
    }

    /// <summary>Connects, and gives the connection to the runtime only when the server has spoken: else it is a race.</summary>
    private static async ValueTask<Stream> ConnectAndWaitForServerAsync(
        SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
        await Eventually.TrueAsync(() => socket.Poll(TimeSpan.Zero, SelectMode.SelectRead), "the server has spoken");
        return new NetworkStream(socket, ownsSocket: true);
    }

    private sealed class Circle
    {
        public Circle Self => this;
    }

    /// <summary>A primary handler that sends the body, and fails then.</summary>
    private sealed class SendingHandler(Exception failure) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await request.Content!.CopyToAsync(Stream.Null, cancellationToken);
            throw failure;
        }
    }
}

using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Testing;

/// <summary>Each script makes HttpClient fail as it does against a real server of that kind, or the fixture is wrong.</summary>
public sealed class RawServerTests : IDisposable
{
    private const int Megabyte = 1024 * 1024;

    private readonly SocketsHttpHandler _handler = new() { AllowAutoRedirect = false, UseProxy = false };
    private readonly HttpMessageInvoker _client;

    public RawServerTests() => _client = new HttpMessageInvoker(_handler);

    public static TheoryData<string, Script, HttpRequestError> RequestsThatWereRead => new()
    {
        { "FIN after the request", Scripts.CloseAfterRequest(), HttpRequestError.ResponseEnded },
        { "RST after the request", Scripts.ResetAfterRequest(), HttpRequestError.Unknown },
        { "garbage", Scripts.AnswerGarbage(), HttpRequestError.InvalidResponse },
        { "too many headers", Scripts.OversizeHeaders(200), HttpRequestError.ConfigurationLimitExceeded },
    };

    public static TheoryData<string, Script, HttpRequestError> Http2Failures => new()
    {
        { "INTERNAL_ERROR", Scripts.Http2ResetStream(Http2ErrorCode.InternalError), HttpRequestError.HttpProtocolError },
        { "CANCEL", Scripts.Http2ResetStream(Http2ErrorCode.Cancel), HttpRequestError.HttpProtocolError },
        { "GOAWAY", Scripts.Http2GoAway(Http2ErrorCode.InternalError), HttpRequestError.HttpProtocolError },
        { "RST", Scripts.Http2Abort(), HttpRequestError.Unknown },
    };

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task An_ordinary_response_keeps_the_connection_and_the_requests_are_recorded()
    {
        await using var server = new RawServer(Scripts.Respond(201, "made", ("X-Id", "7")));

        foreach (var text in new[] { "first", "second" })
        {
            using var request = Post(server.Uri, new StringContent(text));
            request.Headers.TryAddWithoutValidation("User-Agent", "odd (agent");
            using var response = await SendAsync(request);

            Assert.Equal(HttpStatusCode.Created, response.StatusCode);
            Assert.Equal("7", response.Headers.GetValues("X-Id").Single());
            Assert.Equal("made", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        Assert.Equal(1, server.ConnectionCount);
        Assert.Equal(["first", "second"], server.Requests.Select(request => request.Text));
        Assert.All(server.Requests, request =>
        {
            Assert.Equal("POST", request.Method);
            Assert.Equal("/", request.Target);
            Assert.Equal(["odd (agent"], request.ValuesOf("user-agent"));
            Assert.True(request.Complete);
        });
    }

    [Fact]
    public async Task A_chunked_body_is_read_whole()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        using var request = Post(server.Uri, Upload(3 * Megabyte));
        request.Headers.TransferEncodingChunked = true;

        using var response = await SendAsync(request);

        var read = Assert.Single(server.Requests);
        Assert.Equal(3 * Megabyte, read.Body.Length);
        Assert.True(read.Complete);
    }

    [Theory]
    [MemberData(nameof(RequestsThatWereRead))]
    public async Task A_request_that_was_read_whole_fails_as(string situation, Script script, HttpRequestError expected)
    {
        await using var server = new RawServer(script);

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(server.Uri));

        Assert.True(expected == failure.HttpRequestError, $"{situation}: {failure}");
        Assert.True(Assert.Single(server.Requests).Complete);
    }

    [Fact]
    public async Task A_refused_connection_fails_as_ConnectionError()
    {
        var failure = await Assert.ThrowsAsync<HttpRequestException>(
            () => PostAsync(new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/")));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task A_reset_right_after_accept_fails_in_one_of_three_ways()
    {
        await using var server = new RawServer(Scripts.ResetOnAccept());

        var failure = await Assert.ThrowsAnyAsync<Exception>(() => PostAsync(server.Uri));

        Assert.True(
            failure is SocketException
                or HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError }
                or HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: IOException },
            failure.ToString());
        Assert.Empty(server.Requests);
        Assert.Equal(1, server.ConnectionCount);
    }

    [Fact]
    public async Task A_connect_timeout_is_a_cancellation_with_a_TimeoutException_inside()
    {
        await using var server = new RawServer(Scripts.NeverRead());
        _handler.ConnectTimeout = TimeSpan.FromMilliseconds(100);

        var failure = await Assert.ThrowsAsync<TaskCanceledException>(() => PostAsync(server.SecureUri));

        Assert.IsType<TimeoutException>(failure.InnerException);
        Assert.Equal("System.Private.CoreLib", failure.Source);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_request_that_is_never_answered_has_been_read_when_the_caller_gives_up()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        using var caller = new CancellationTokenSource();
        using var request = Post(server.Uri, new StringContent("patient"));

        var sending = _client.SendAsync(request, caller.Token);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request was read");
        await caller.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.Equal("patient", server.Requests[0].Text);
    }

    [Fact]
    public async Task A_reset_during_an_upload_fails_as_Unknown_and_the_request_is_recorded_incomplete()
    {
        await using var server = new RawServer(Scripts.ResetDuringUpload(afterBytes: Megabyte));
        using var request = Post(server.Uri, Upload(64 * Megabyte));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(request));

        AssertUnknownTransport(failure);
        var read = Assert.Single(server.Requests);
        Assert.Equal(Megabyte, read.Body.Length);
        Assert.False(read.Complete);
    }

    [Fact]
    public async Task An_answer_before_the_body_fails_as_a_reset_does()
    {
        await using var server = new RawServer(Scripts.AnswerBeforeBody(413));
        using var request = Post(server.Uri, Upload(64 * Megabyte));

        AssertUnknownTransport(await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(request)));
    }

    [Fact]
    public async Task An_answer_before_the_body_arrives_when_the_client_expects_100_continue()
    {
        await using var server = new RawServer(Scripts.AnswerBeforeBody(413));
        _handler.Expect100ContinueTimeout = Timeout.InfiniteTimeSpan;
        using var request = Post(server.Uri, Upload(64 * Megabyte));
        request.Headers.ExpectContinue = true;

        using var response = await SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal(0, Assert.Single(server.Requests).Body.Length);
    }

    [Fact]
    public async Task A_client_that_expects_100_continue_is_told_to_go_on()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        _handler.Expect100ContinueTimeout = Timeout.InfiniteTimeSpan;
        using var request = Post(server.Uri, Upload(Megabyte));
        request.Headers.ExpectContinue = true;

        using var response = await SendAsync(request);

        Assert.True(Assert.Single(server.Requests).Complete);
    }

    [Fact]
    public async Task A_truncated_body_is_noticed_by_whoever_reads_it()
    {
        await using var server = new RawServer(Scripts.TruncateBody(200));
        using var request = Post(server.Uri, new StringContent("body"));
        using var response = await SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var failure = await Assert.ThrowsAsync<HttpRequestException>(
            () => response.Content.LoadIntoBufferAsync(TestContext.Current.CancellationToken));
        Assert.Equal(HttpRequestError.ResponseEnded, failure.HttpRequestError);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("DELETE")]
    [InlineData("POST")]
    public async Task A_pooled_connection_that_closes_after_a_bodyless_request_makes_the_client_send_it_twice(string method)
    {
        await using var server = new RawServer(
            RawServer.Sequence(Scripts.Respond(200), Scripts.CloseAfterRequest(), Scripts.Respond(200)));

        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), server.Uri);
            using var response = await SendAsync(request);
            await response.Content.LoadIntoBufferAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(3, server.Requests.Count);
        Assert.Equal(2, server.ConnectionCount);
    }

    [Fact]
    public async Task A_pooled_connection_that_closes_after_a_request_with_a_body_fails_as_ResponseEnded()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(200), Scripts.CloseAfterRequest()));
        await PostAsync(server.Uri);

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(server.Uri));

        Assert.Equal(HttpRequestError.ResponseEnded, failure.HttpRequestError);
        Assert.Equal(2, server.Requests.Count);
        Assert.Equal(1, server.ConnectionCount);
    }

    [Fact]
    public async Task A_connection_that_closes_after_its_response_is_not_used_again()
    {
        await using var server = new RawServer(Scripts.CloseAfterResponse(200));

        // The client may notice the FIN only after it has sent again; without a body it may do that by itself.
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, server.Uri);
            using var response = await SendAsync(request);
            await response.Content.LoadIntoBufferAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(2, server.ConnectionCount);
    }

    [Theory]
    [InlineData(302, "GET")]
    [InlineData(303, "GET")]
    [InlineData(307, "POST")]
    [InlineData(308, "POST")]
    public async Task A_redirect_to_a_dead_host_changes_the_message_that_was_sent(int status, string method)
    {
        var dead = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/there");
        await using var server = new RawServer(Scripts.Redirect(status, dead));
        _handler.AllowAutoRedirect = true;
        using var request = Post(server.Uri, new StringContent("body"));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(request));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Equal(method, request.Method.Method);
        Assert.Equal(dead, request.RequestUri);
        Assert.Equal(method == "POST", request.Content is not null);
    }

    [Fact]
    public async Task A_certificate_that_nobody_trusts_fails_as_SecureConnectionError()
    {
        await using var server = new RawServer(Scripts.OverTls(Scripts.Respond(200)));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(server.SecureUri));

        Assert.Equal(HttpRequestError.SecureConnectionError, failure.HttpRequestError);
        Assert.IsType<AuthenticationException>(failure.InnerException);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task Requests_are_served_over_TLS()
    {
        await using var server = new RawServer(Scripts.OverTls(Scripts.Respond(200)));
        _handler.SslOptions.RemoteCertificateValidationCallback =
            (_, certificate, _, _) => SelfSigned.Certificate.Equals(certificate);

        await PostAsync(server.SecureUri);
        await PostAsync(server.SecureUri);

        Assert.Equal(2, server.Requests.Count);
        Assert.Equal(1, server.ConnectionCount);
    }

    [Fact]
    public async Task A_reset_in_the_handshake_fails_as_SecureConnectionError()
    {
        await using var server = new RawServer(Scripts.ResetInHandshake());

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(server.SecureUri));

        Assert.Equal(HttpRequestError.SecureConnectionError, failure.HttpRequestError);
    }

    [Fact]
    public async Task Requests_are_served_over_HTTP2()
    {
        await using var server = new RawServer(Scripts.Http2Respond(201, "made", ("X-Id", "7")));

        for (var i = 0; i < 2; i++)
        {
            using var request = Http2(Post(new Uri(server.Uri, "/albums"), Upload(Megabyte)));
            request.Headers.Add("Idempotency-Key", "a-key");
            using var response = await SendAsync(request);

            Assert.Equal(HttpStatusCode.Created, response.StatusCode);
            Assert.Equal(HttpVersion.Version20, response.Version);
            Assert.Equal("7", response.Headers.GetValues("x-id").Single());
            Assert.Equal("made", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        Assert.Equal(1, server.ConnectionCount);
        Assert.Equal(2, server.Requests.Count);
        Assert.All(server.Requests, request =>
        {
            Assert.Equal(("POST", "/albums", true), (request.Method, request.Target, request.Complete));
            Assert.Equal(["a-key"], request.ValuesOf("idempotency-key"));
            Assert.Equal(Megabyte, request.Body.Length);
        });
    }

    [Theory]
    [MemberData(nameof(Http2Failures))]
    public async Task An_HTTP2_failure_surfaces_as(string situation, Script script, HttpRequestError expected)
    {
        await using var server = new RawServer(script);
        using var request = Http2(Post(server.Uri, new StringContent("body")));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(request));

        Assert.True(expected == failure.HttpRequestError, $"{situation}: {failure}");
        Assert.IsType<IOException>(failure.InnerException, exactMatch: false);
        Assert.True(Assert.Single(server.Requests).Complete);
    }

    [Fact]
    public async Task A_refused_stream_is_sent_again_by_the_runtime_before_it_fails()
    {
        await using var server = new RawServer(Scripts.Http2ResetStream(Http2ErrorCode.RefusedStream));
        using var request = Http2(Post(server.Uri, new StringContent("body")));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(request));

        Assert.Equal(HttpRequestError.HttpProtocolError, failure.HttpRequestError);
        Assert.Equal((long)Http2ErrorCode.RefusedStream, Assert.IsType<HttpProtocolException>(failure.InnerException).ErrorCode);
        Assert.Equal(4, server.Requests.Count);
    }

    [Fact]
    public async Task A_request_that_a_GOAWAY_did_not_look_at_is_sent_again_by_the_runtime()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Http2GoAwayUnprocessed(), Scripts.Http2Respond(200)));
        using var request = Http2(Post(server.Uri, new StringContent("body")));

        using var response = await SendAsync(request);

        Assert.Equal(2, server.ConnectionCount);
    }

    [Fact]
    public async Task HTTP2_with_prior_knowledge_fails_against_an_older_server()
    {
        await using var server = new RawServer(Scripts.Respond(400));
        using var request = Http2(Post(server.Uri, new StringContent("body")));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(request));

        Assert.True(failure.HttpRequestError is HttpRequestError.HttpProtocolError or HttpRequestError.Unknown, failure.ToString());
    }

    [Theory]
    [InlineData(407)]
    [InlineData(502)]
    [InlineData(503)]
    public async Task A_proxy_that_opens_no_tunnel_fails_as_ProxyTunnelError(int status)
    {
        await using var proxy = new RawServer(Scripts.Respond(status));
        UseProxy(proxy);

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(new Uri("https://api.example.com/")));

        Assert.Equal(HttpRequestError.ProxyTunnelError, failure.HttpRequestError);
        Assert.Equal(status, (int?)failure.StatusCode);
        Assert.Equal(("CONNECT", "api.example.com:443"), (proxy.Requests[0].Method, proxy.Requests[0].Target));
    }

    [Fact]
    public async Task A_plain_proxy_that_fails_answers_like_a_server()
    {
        await using var proxy = new RawServer(Scripts.Respond(502));
        UseProxy(proxy);
        using var request = Post(new Uri("http://api.example.com/"), new StringContent("body"));

        using var response = await SendAsync(request);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal("http://api.example.com/", Assert.Single(proxy.Requests).Target);
    }

    [Fact]
    public async Task A_server_that_is_down_refuses_and_comes_back_on_its_port()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await PostAsync(server.Uri);

        await server.StopAsync();
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(server.Uri));
        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);

        server.Start();
        await PostAsync(server.Uri);
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task Going_down_ends_the_exchanges_under_way()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        var sending = PostAsync(server.Uri);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the request was read");

        await server.StopAsync();

        await Assert.ThrowsAsync<HttpRequestException>(() => sending);
    }

    [Fact]
    public async Task A_defect_in_a_script_fails_the_test()
    {
        var server = new RawServer((_, _) => throw new InvalidOperationException("defect"));

        await Assert.ThrowsAnyAsync<Exception>(() => PostAsync(server.Uri));

        var failure = await Assert.ThrowsAsync<AggregateException>(async () => await server.DisposeAsync());
        Assert.IsType<InvalidOperationException>(failure.InnerException);
    }

    private static HttpRequestMessage Post(Uri uri, HttpContent content) => new(HttpMethod.Post, uri) { Content = content };

    private static HttpRequestMessage Http2(HttpRequestMessage request)
    {
        request.Version = HttpVersion.Version20;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        return request;
    }

    private static ByteArrayContent Upload(int bytes) => new(new byte[bytes]);

    private static void AssertUnknownTransport(HttpRequestException failure)
    {
        Assert.Equal(HttpRequestError.Unknown, failure.HttpRequestError);
        Assert.IsType<SocketException>(Assert.IsType<IOException>(failure.InnerException, exactMatch: false).InnerException);
    }

    private async Task PostAsync(Uri uri)
    {
        using var request = Post(uri, new StringContent("body"));
        using var response = await SendAsync(request);
        await response.Content.LoadIntoBufferAsync(TestContext.Current.CancellationToken);
    }

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request) =>
        _client.SendAsync(request, TestContext.Current.CancellationToken);

    private void UseProxy(RawServer proxy)
    {
        _handler.UseProxy = true;
        _handler.Proxy = new WebProxy(proxy.Uri);
    }
}

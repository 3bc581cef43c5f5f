using System.Net;
using System.Net.Sockets;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Outcomes
{
    /// <summary>Failures that no server here can be made to cause; the others are shown on real sockets.</summary>
    public sealed class FailureClassifierTests
    {
        /// <summary>
        /// As the runtime says it, alone, when the connection breaks between its making and its first request, which is a matter of
        /// microseconds; with an I/O failure around it, it is shown on real sockets.
        /// </summary>
        private const string NotEstablished =
            "An HTTP/2 connection could not be established because the server did not complete the HTTP/2 handshake.";

        /// <summary>Failures of the network, as the runtime, Polly and the handlers of phones throw them.</summary>
        public static TheoryData<string, Exception, FailureVerdict> OfTheNetwork => new()
        {
            { "unknown host", new HttpRequestException(HttpRequestError.NameResolutionError), FailureVerdict.NotSent },
            { "refused", new HttpRequestException(HttpRequestError.ConnectionError), FailureVerdict.NotSent },
            { "TLS", new HttpRequestException(HttpRequestError.SecureConnectionError), FailureVerdict.NotSent },
            { "no tunnel", new HttpRequestException(HttpRequestError.ProxyTunnelError), FailureVerdict.NotSent },
            { "tunnel 408", Proxy(HttpStatusCode.RequestTimeout), FailureVerdict.NotSent },
            { "tunnel 429", Proxy(HttpStatusCode.TooManyRequests), FailureVerdict.NotSent },
            { "tunnel 500", Proxy(HttpStatusCode.InternalServerError), FailureVerdict.NotSent },
            { "tunnel 403", Proxy(HttpStatusCode.Forbidden), FailureVerdict.DoNotQueue },
            { "tunnel 407", Proxy(HttpStatusCode.ProxyAuthenticationRequired), FailureVerdict.DoNotQueue },
            { "REFUSED_STREAM", Protocol(0x7), FailureVerdict.NotSent },
            { "H3_REQUEST_REJECTED", Protocol(0x10B), FailureVerdict.NotSent },
            { "CANCEL", Protocol(0x8), FailureVerdict.MaybeProcessed },
            { "closed", new HttpRequestException(HttpRequestError.ResponseEnded), FailureVerdict.MaybeProcessed },
            { "garbage", new HttpRequestException(HttpRequestError.InvalidResponse), FailureVerdict.MaybeProcessed },
            { "too long", new HttpRequestException(HttpRequestError.ConfigurationLimitExceeded), FailureVerdict.MaybeProcessed },
            { "of a later runtime", new HttpRequestException((HttpRequestError)999), FailureVerdict.MaybeProcessed },
            { "credentials", new HttpRequestException(HttpRequestError.UserAuthenticationError), FailureVerdict.DoNotQueue },
            { "version", new HttpRequestException(HttpRequestError.VersionNegotiationError), FailureVerdict.DoNotQueue },
            { "CONNECT", new HttpRequestException(HttpRequestError.ExtendedConnectNotSupported), FailureVerdict.DoNotQueue },
            { "GOAWAY", new HttpRequestException("h3", new OperationCanceledException()), FailureVerdict.MaybeProcessed },
            { "pipe", new HttpRequestException("pipe", new IOException("", new SocketException(32))), FailureVerdict.MaybeProcessed },
            { "no handshake", new HttpRequestException(NotEstablished), FailureVerdict.NotSent },
            { "no handshake, trimmed", new HttpRequestException("net_http_http2_connection_not_established"), FailureVerdict.NotSent },
            { "bare socket", new SocketException((int)SocketError.NotConnected), FailureVerdict.NotSent },
            { "bare I/O", new IOException("bare"), FailureVerdict.MaybeProcessed },
            { "bare time-out", new TimeoutException(), FailureVerdict.MaybeProcessed },
            { "a handler's time-out", new TaskCanceledException("", new TimeoutException()), FailureVerdict.MaybeProcessed },
            { "a handler gave up", new OperationCanceledException("by itself"), FailureVerdict.MaybeProcessed },
            { "a handler gave up a task", new TaskCanceledException("by itself"), FailureVerdict.MaybeProcessed },
            { "broken circuit", new Polly.CircuitBreaker.BrokenCircuitException(), FailureVerdict.NotSent },
            { "isolated circuit", new Polly.CircuitBreaker.IsolatedCircuitException(), FailureVerdict.NotSent },
            { "rate limit", new Polly.RateLimiting.RateLimiterRejectedException(), FailureVerdict.NotSent },
            { "Polly's time-out", new Polly.Timeout.TimeoutRejectedException(), FailureVerdict.MaybeProcessed },
            { "WebException", new WebException("a native handler's"), FailureVerdict.MaybeProcessed },
            { "Java", new Java.Net.SocketException(), FailureVerdict.MaybeProcessed },
            { "NSError", new Foundation.NSErrorException(), FailureVerdict.MaybeProcessed },
            { "NSError inside", new HttpRequestException("iOS", new Foundation.NSErrorException()), FailureVerdict.MaybeProcessed },
        };

        /// <summary>Failures of inner handlers that prove nothing: the request is tried again.</summary>
        public static TheoryData<string, Exception> Unproven => new()
        {
            { "offline", new HttpRequestException("There is no connection to the Internet.") },
            { "offline, thrown", Thrown(new HttpRequestException("There is no connection to the Internet.")) },
            { "a token's status", new HttpRequestException("", null, HttpStatusCode.InternalServerError) },
            { "EnsureSuccessStatusCode", Thrown(() => new HttpResponseMessage(HttpStatusCode.NotFound).EnsureSuccessStatusCode()) },
            { "a token handler", new InvalidOperationException("Sign in first.") },
            { "a token handler, thrown", Thrown(new InvalidOperationException("Sign in first.")) },
            { "a token handler inside", new HttpRequestException("", Thrown(new InvalidOperationException("Sign in first."))) },
            { "disposed", new ObjectDisposedException("a handler") },
            { "a wrapper of a defect", new WrapperException(new FormatException()) },
            { "a wrapper of a refusal", new WrapperException(new HttpRequestException(HttpRequestError.ConnectionError)) },
            { "a fault", new NullReferenceException() },
            { "JSON", new System.Text.Json.JsonException("", new FormatException()) },
            { "a defect that broke the connection", new HttpRequestException("", new IOException("", new NotSupportedException())) },
            { "a defect after a time-out", new HttpRequestException("", new TimeoutException("", new ArgumentException())) },
        };

        /// <summary>Failures that prove a defect of the request by their type.</summary>
        public static TheoryData<string, Exception> Defects => new()
        {
            { "format", new FormatException() },
            { "address", new UriFormatException() },
            { "argument", new ArgumentException() },
            { "null", new ArgumentNullException() },
            { "not supported", new NotSupportedException() },
            { "format inside", new HttpRequestException("", new FormatException()) },
            { "argument inside", new HttpRequestException("", new ArgumentOutOfRangeException()) },
            { "not supported, two levels inside", new HttpRequestException("", new WrapperException(new NotSupportedException())) },
        };

        /// <summary>Requests that a real handler cannot send.</summary>
        public static TheoryData<string, Func<HttpRequestMessage>> Unsendable => new()
        {
            { "a header that is not ASCII", () => Post(request => request.Headers.TryAddWithoutValidation("X-Name", "\u0141")) },
            { "a host that is not ASCII", () => Post(request => request.Headers.TryAddWithoutValidation("Host", "\u0141")) },
            { "a length that is too short", () => Post(request => request.Content!.Headers.ContentLength = 2) },
            { "a length that is too long", () => Post(request => request.Content!.Headers.ContentLength = 50) },
            { "a stream that was read", () => Post(request => request.Content = ReadBefore()) },
            { "chunks of nothing", () => Post(request => (request.Content, request.Headers.TransferEncodingChunked) = (null, true)) },
            { "a relative address", () => Post(request => request.RequestUri = new Uri("orders", UriKind.Relative)) },
            { "a scheme that is not HTTP", () => Post(request => request.RequestUri = new Uri("ftp://127.0.0.1/")) },
            { "a version that nobody knows", () => Post(request => request.Version = new Version(0, 9)) },
        };

        [Theory]
        [MemberData(nameof(OfTheNetwork), DisableDiscoveryEnumeration = true)]
        public void A_failure_of_the_network_means(string situation, Exception failure, FailureVerdict verdict)
        {
            Assert.Equal(verdict, FailureClassifier.Classify(failure));
            Assert.NotEmpty(situation);
        }

        [Theory]
        [MemberData(nameof(Unproven), DisableDiscoveryEnumeration = true)]
        public void A_failure_that_proves_no_defect_is_tried_again(string situation, Exception failure)
        {
            Assert.Equal(FailureVerdict.MaybeProcessed, FailureClassifier.Classify(failure));
            Assert.NotEmpty(situation);
        }

        [Theory]
        [MemberData(nameof(Defects), DisableDiscoveryEnumeration = true)]
        public void A_defect_is_proven_by_its_type(string situation, Exception failure)
        {
            Assert.Equal(FailureVerdict.DoNotQueue, FailureClassifier.Classify(failure));
            Assert.NotEmpty(situation);
        }

        [Theory]
        [MemberData(nameof(Unsendable), DisableDiscoveryEnumeration = true)]
        public async Task A_request_that_a_real_handler_cannot_send_is_a_defect(string situation, Func<HttpRequestMessage> create)
        {
            await using var server = new RawServer(Scripts.Respond(200));
            using var invoker = new HttpMessageInvoker(new SocketsHttpHandler());
            foreach (var isAsync in new[] { true, false })
            {
                using var request = create();
                request.RequestUri ??= server.Uri;

                var failure = await Record.ExceptionAsync(
                    async () => _ = isAsync ? await invoker.SendAsync(request, default) : invoker.Send(request, default));

                Assert.Equal(FailureVerdict.DoNotQueue, FailureClassifier.Classify(failure!));
            }

            Assert.NotEmpty(situation);
        }

        [Fact]
        public async Task A_header_that_is_not_ASCII_is_a_defect_over_HTTP2()
        {
            await using var server = new RawServer(Scripts.Http2ResetStream(Http2ErrorCode.Cancel));
            using var invoker = new HttpMessageInvoker(new SocketsHttpHandler());
            using var request = Post(request => request.Headers.TryAddWithoutValidation("X-Name", "\u0141"));
            (request.RequestUri, request.Version, request.VersionPolicy) =
                (server.Uri, HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);

            var failure = await Assert.ThrowsAnyAsync<Exception>(() => invoker.SendAsync(request, default));

            Assert.Equal(FailureVerdict.DoNotQueue, FailureClassifier.Classify(failure));
        }

        [Fact]
        public async Task A_task_that_an_inner_handler_failed_proves_no_defect()
        {
            using var invoker = new HttpMessageInvoker(new FailingHandler(new HttpRequestException("There is no connection.")));

            var failure = await Assert.ThrowsAsync<HttpRequestException>(() => invoker.SendAsync(Post(), default));

            Assert.Equal(FailureVerdict.MaybeProcessed, FailureClassifier.Classify(failure));
        }

        private static HttpRequestMessage Post(Action<HttpRequestMessage>? change = null)
        {
            var request = new HttpRequestMessage { Method = HttpMethod.Post, Content = new ByteArrayContent([1, 2, 3]) };
            change?.Invoke(request);
            return request;
        }

        private static StreamContent ReadBefore()
        {
            var content = new StreamContent(new OneShotStream([1, 2, 3]));
            content.CopyTo(Stream.Null, null, default);
            return content;
        }

        private static Exception Thrown(Exception failure) => Thrown(() => throw failure);

        private static Exception Thrown(Action failing) => Record.Exception(failing)!;

        private static HttpRequestException Proxy(HttpStatusCode status) =>
            new(HttpRequestError.ProxyTunnelError, null, null, status);

        private static HttpRequestException Protocol(long code) =>
            new(HttpRequestError.HttpProtocolError, null, new HttpProtocolException(code, "", null));

        /// <summary>Stands for the exceptions in which libraries wrap those of HTTP.</summary>
        private sealed class WrapperException(Exception inner) : Exception("", inner);

        private sealed class FailingHandler(Exception failure) : HttpMessageHandler
        {
            protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
                Task.FromException<HttpResponseMessage>(failure);
        }
    }
}

// These stand for the exceptions of the handlers of phones.
#pragma warning disable IDE0130, CA1064
namespace Java.Net
{
    internal sealed class SocketException : Exception;
}

namespace Foundation
{
    internal sealed class NSErrorException : Exception;
}

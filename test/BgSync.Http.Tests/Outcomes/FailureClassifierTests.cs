using System.Net;
using System.Net.Sockets;
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

        public static TheoryData<Exception, FailureVerdict> Failures => new()
        {
            { new HttpRequestException(HttpRequestError.NameResolutionError), FailureVerdict.NotSent },
            { new HttpRequestException(HttpRequestError.ProxyTunnelError), FailureVerdict.NotSent },
            { Proxy(HttpStatusCode.RequestTimeout), FailureVerdict.NotSent },
            { Proxy(HttpStatusCode.TooManyRequests), FailureVerdict.NotSent },
            { Proxy(HttpStatusCode.ProxyAuthenticationRequired), FailureVerdict.DoNotQueue },
            { Protocol(0x7), FailureVerdict.NotSent },
            { Protocol(0x10B), FailureVerdict.NotSent },
            { Protocol(0x8), FailureVerdict.MaybeProcessed },
            { new HttpRequestException("h3 GOAWAY", new OperationCanceledException()), FailureVerdict.MaybeProcessed },
            { new HttpRequestException("broken pipe", new IOException("", new SocketException(32))), FailureVerdict.MaybeProcessed },
            { new HttpRequestException(NotEstablished), FailureVerdict.NotSent },
            { new HttpRequestException("net_http_http2_connection_not_established"), FailureVerdict.NotSent },
            { new HttpRequestException("no inner exception"), FailureVerdict.DoNotQueue },
            { new HttpRequestException("a defect", new InvalidOperationException()), FailureVerdict.DoNotQueue },
            { new HttpRequestException(HttpRequestError.UserAuthenticationError), FailureVerdict.DoNotQueue },
            { new HttpRequestException(HttpRequestError.VersionNegotiationError), FailureVerdict.DoNotQueue },
            { new HttpRequestException(HttpRequestError.ExtendedConnectNotSupported), FailureVerdict.DoNotQueue },
            { new SocketException((int)SocketError.NotConnected), FailureVerdict.NotSent },
            { new IOException("bare"), FailureVerdict.MaybeProcessed },
            { new TaskCanceledException("an inner handler's", new TimeoutException()), FailureVerdict.MaybeProcessed },
            { new OperationCanceledException("an inner handler's"), FailureVerdict.DoNotQueue },
            { new Polly.CircuitBreaker.BrokenCircuitException(), FailureVerdict.NotSent },
            { new Polly.CircuitBreaker.IsolatedCircuitException(), FailureVerdict.NotSent },
            { new Polly.RateLimiting.RateLimiterRejectedException(), FailureVerdict.NotSent },
            { new Polly.Timeout.TimeoutRejectedException(), FailureVerdict.MaybeProcessed },
            { new WebException("a native handler's"), FailureVerdict.MaybeProcessed },
            { new Java.Net.SocketException(), FailureVerdict.MaybeProcessed },
            { new InvalidOperationException(), FailureVerdict.DoNotQueue },
        };

        [Theory]
        [MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
        public void A_failure_means(Exception failure, FailureVerdict verdict) =>
            Assert.Equal(verdict, FailureClassifier.Classify(failure));

        private static HttpRequestException Proxy(HttpStatusCode status) =>
            new(HttpRequestError.ProxyTunnelError, null, null, status);

        private static HttpRequestException Protocol(long code) =>
            new(HttpRequestError.HttpProtocolError, null, new HttpProtocolException(code, "", null));
    }
}

// Exceptions are told by name, so that the library needs no reference to where they come from. The hierarchies are those of the originals.
#pragma warning disable IDE0130, CA1064
namespace Polly
{
    internal class ExecutionRejectedException : Exception;
}

namespace Polly.CircuitBreaker
{
    internal class BrokenCircuitException : ExecutionRejectedException;

    internal sealed class IsolatedCircuitException : BrokenCircuitException;
}

namespace Polly.RateLimiting
{
    internal sealed class RateLimiterRejectedException : ExecutionRejectedException;
}

namespace Polly.Timeout
{
    internal sealed class TimeoutRejectedException : ExecutionRejectedException;
}

namespace Java.Net
{
    internal sealed class SocketException : Exception;
}

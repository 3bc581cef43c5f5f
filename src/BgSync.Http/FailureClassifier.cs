using System.Net;
using System.Net.Sockets;

namespace BgSync.Http;

/// <summary>
/// Tells from an exception whether the server may have seen the request. A defect of the request is proven, not assumed: every
/// failure that proves nothing is <see cref="FailureVerdict.MaybeProcessed"/>, so that it is tried again.
/// </summary>
/// <remarks>
/// Content that throws while it is read needs no rule here. Its exception proves nothing about the server, and a request whose body
/// cannot be read to the end is not queued, whatever the verdict.
/// </remarks>
public static class FailureClassifier
{
    /// <summary>HTTP/2 REFUSED_STREAM (RFC 9113, 8.7) and HTTP/3 H3_REQUEST_REJECTED (RFC 9114, 4.1.1): certainly not processed.</summary>
    private const long RefusedStream = 0x7, RequestRejected = 0x10B;

    /// <summary>
    /// The message, which is not translated, or the name of the message where messages are trimmed away, of an HTTP/2 connection that
    /// broke before any request was given to it. <see cref="SocketsHttpHandler"/> marks it in no other way.
    /// </summary>
    private const string
        NotEstablished = "An HTTP/2 connection could not be established because the server did not complete the HTTP/2 handshake.",
        NotEstablishedKey = "net_http_http2_connection_not_established";

    /// <summary>
    /// Where <see cref="SocketsHttpHandler"/> writes a request: in HTTP/1.1, and the header encoders of HTTP/2 and HTTP/3. An
    /// exception without a cause that begins there names a header or a length that cannot be written.
    /// </summary>
    private static readonly string[] _writersOfRequests =
        ["System.Net.Http.HttpConnection.", "System.Net.Http.HPack.", "System.Net.Http.QPack."];

    /// <summary>Where a wrong use of a message is found: a relative address, a stream that was read before.</summary>
    private static readonly string[] _systemNetHttp = ["System.Net.Http."];

    /// <summary>Classifies a failure. Never throws; thread-safe.</summary>
    /// <param name="exception">The exception of the inner handler. The caller's own cancel is never a failure, so it is never asked
    /// about.</param>
    public static FailureVerdict Classify(Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return exception switch
        {
            // A queue inside has taken the request, or has said why it did not.
            RequestQueuedException or RequestNotDeliveredException or PrerequisiteException => FailureVerdict.DoNotQueue,
            HttpRequestException failure => ClassifyRequestError(failure),
            OperationCanceledException cancelled => ClassifyCancellation(cancelled),
            // Thrown bare when a connection is reset between accept and the first use (facts of .NET 10: Socket.RemoteEndPoint).
            SocketException => FailureVerdict.NotSent,
            _ when IsRejectedByPolly(exception.GetType()) => FailureVerdict.NotSent,
            _ => IsDefect(exception) ? FailureVerdict.DoNotQueue : FailureVerdict.MaybeProcessed,
        };
    }

    private static FailureVerdict ClassifyRequestError(HttpRequestException failure) => failure.HttpRequestError switch
    {
        HttpRequestError.NameResolutionError or HttpRequestError.ConnectionError or HttpRequestError.SecureConnectionError =>
            FailureVerdict.NotSent,
        HttpRequestError.ProxyTunnelError => failure.StatusCode is null or HttpStatusCode.RequestTimeout
            or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError
            ? FailureVerdict.NotSent
            : FailureVerdict.DoNotQueue,
        HttpRequestError.HttpProtocolError when failure.InnerException is HttpProtocolException
        { ErrorCode: RefusedStream or RequestRejected } => FailureVerdict.NotSent,
        HttpRequestError.UserAuthenticationError or HttpRequestError.VersionNegotiationError
            or HttpRequestError.ExtendedConnectNotSupported => FailureVerdict.DoNotQueue,
        HttpRequestError.Unknown => ClassifyUnknown(failure),
        // An answer that is none (InvalidResponse) or too long (ConfigurationLimitExceeded) may be a broken proxy's or a portal's.
        _ => FailureVerdict.MaybeProcessed,
    };

    /// <summary>
    /// "Unknown" is the transport's, the request's own, or a foreign handler's. An I/O failure, a time-out or, for an HTTP/3 GOAWAY, a
    /// cancellation inside it proves the transport's.
    /// </summary>
    private static FailureVerdict ClassifyUnknown(HttpRequestException failure)
    {
        var isTransport = false;
        var isDefect = false;
        for (Exception? cause = failure; cause is not null; cause = cause.InnerException)
        {
            if (cause.Message is NotEstablished or NotEstablishedKey)
            {
                return FailureVerdict.NotSent;
            }

            isTransport |= cause is IOException or SocketException or TimeoutException or OperationCanceledException;
            isDefect |= IsDefect(cause);
        }

        return isDefect && !isTransport ? FailureVerdict.DoNotQueue : FailureVerdict.MaybeProcessed;
    }

    private static FailureVerdict ClassifyCancellation(OperationCanceledException cancelled) => cancelled.InnerException switch
    {
        // SocketsHttpHandler.ConnectTimeout: the TimeoutException was never thrown, so it has no source of its own, and the
        // cancellation comes from the core library. No other time-out looks like this.
        TimeoutException { StackTrace: null } when cancelled.Source == "System.Private.CoreLib" => FailureVerdict.NotSent,
        // An inner handler gave up by itself; the caller did not ask for it.
        _ => FailureVerdict.MaybeProcessed,
    };

    /// <summary>Whether an exception proves that the request itself cannot be sent, on this machine or any other.</summary>
    private static bool IsDefect(Exception failure) => failure switch
    {
        FormatException or ArgumentException or NotSupportedException => true,
        // A status on it is an answer's: EnsureSuccessStatusCode of an inner handler.
        HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: null, StatusCode: null } =>
            IsThrownIn(failure, _writersOfRequests),
        ObjectDisposedException => false,
        InvalidOperationException => IsThrownIn(failure, _systemNetHttp),
        _ => false,
    };

    /// <summary>
    /// Whether the first line of the stack trace begins with one of the places. <see cref="Exception.TargetSite"/> and
    /// <see cref="Exception.Source"/> know less: they are the core library's where an exception has crossed an await. An application
    /// without stack traces proves nothing.
    /// </summary>
    private static bool IsThrownIn(Exception failure, string[] places)
    {
        var trace = failure.StackTrace.AsSpan().TrimStart();
        var end = trace.IndexOf(' ');
        if (end < 0)
        {
            return false;
        }

        // After the word for "at".
        var frame = trace[(end + 1)..];
        foreach (var place in places)
        {
            if (frame.StartsWith(place, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Polly's refusals by name, so that the library needs no reference to it. Not by their common base, from which a time-out
    /// derives too.
    /// </summary>
    private static bool IsRejectedByPolly(Type? type)
    {
        for (; type is not null && type != typeof(Exception); type = type.BaseType)
        {
            if (type.FullName is "Polly.CircuitBreaker.BrokenCircuitException" or "Polly.CircuitBreaker.IsolatedCircuitException"
                or "Polly.RateLimiting.RateLimiterRejectedException")
            {
                return true;
            }
        }

        return false;
    }
}

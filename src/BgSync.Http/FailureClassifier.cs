using System.Net;
using System.Net.Sockets;

namespace BgSync.Http;

/// <summary>
/// Tells from an exception whether the server may have seen the request. Knows what <see cref="SocketsHttpHandler"/> throws on
/// every platform, and Polly's rejections.
/// </summary>
public static class FailureClassifier
{
    /// <summary>HTTP/2 REFUSED_STREAM (RFC 9113, 8.7) and HTTP/3 H3_REQUEST_REJECTED (RFC 9114, 4.1.1): certainly not processed.</summary>
    private const long RefusedStream = 0x7, RequestRejected = 0x10B;

    /// <summary>
    /// All by which <see cref="SocketsHttpHandler"/> tells an HTTP/2 connection that broke before any request was given to it from a
    /// defect of the request: its message, which is not translated, or the name of that where messages are trimmed away.
    /// </summary>
    private const string
        NotEstablished = "An HTTP/2 connection could not be established because the server did not complete the HTTP/2 handshake.",
        NotEstablishedKey = "net_http_http2_connection_not_established";

    /// <summary>Classifies a failure. Never throws; thread-safe.</summary>
    /// <param name="exception">What the inner handler threw. A cancel by the caller is never asked about.</param>
    public static FailureVerdict Classify(Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return exception switch
        {
            HttpRequestException failure => ClassifyRequestError(failure),
            OperationCanceledException cancelled => ClassifyCancellation(cancelled),
            // Thrown bare when a connection is reset between accept and the first use (facts of .NET 10: Socket.RemoteEndPoint).
            SocketException => FailureVerdict.NotSent,
            IOException => FailureVerdict.MaybeProcessed,
            TimeoutException => FailureVerdict.MaybeProcessed,
            _ => ClassifyByName(exception.GetType()),
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
        HttpRequestError.HttpProtocolError => failure.InnerException is HttpProtocolException
        { ErrorCode: RefusedStream or RequestRejected }
            ? FailureVerdict.NotSent
            : FailureVerdict.MaybeProcessed,
        HttpRequestError.ResponseEnded => FailureVerdict.MaybeProcessed,
        HttpRequestError.Unknown => ClassifyUnknown(failure),
        _ => FailureVerdict.DoNotQueue,
    };

    /// <summary>
    /// "Unknown" is either transport or a defect of the request itself; only transport has an I/O failure inside, or, for an HTTP/3
    /// GOAWAY, a cancellation.
    /// </summary>
    private static FailureVerdict ClassifyUnknown(HttpRequestException failure)
    {
        var verdict = FailureVerdict.DoNotQueue;
        for (Exception? cause = failure; cause is not null; cause = cause.InnerException)
        {
            if (cause.Message is NotEstablished or NotEstablishedKey)
            {
                return FailureVerdict.NotSent;
            }

            if (cause is IOException or SocketException or OperationCanceledException)
            {
                verdict = FailureVerdict.MaybeProcessed;
            }
        }

        return verdict;
    }

    private static FailureVerdict ClassifyCancellation(OperationCanceledException cancelled) => cancelled.InnerException switch
    {
        // SocketsHttpHandler.ConnectTimeout: the TimeoutException was never thrown, so it has no source of its own, and the
        // cancellation comes from the core library. No other time-out looks like this.
        TimeoutException { StackTrace: null } when cancelled.Source == "System.Private.CoreLib" => FailureVerdict.NotSent,
        TimeoutException => FailureVerdict.MaybeProcessed,
        _ => FailureVerdict.DoNotQueue,
    };

    /// <summary>
    /// Polly's exceptions by name, so that the library needs no reference to it. Not by their common base: a time-out derives
    /// from it too.
    /// </summary>
    private static FailureVerdict ClassifyByName(Type? type)
    {
        for (; type is not null && type != typeof(Exception); type = type.BaseType)
        {
            switch (type.FullName)
            {
                case "Polly.CircuitBreaker.BrokenCircuitException":
                case "Polly.CircuitBreaker.IsolatedCircuitException":
                case "Polly.RateLimiting.RateLimiterRejectedException":
                    return FailureVerdict.NotSent;
                case "Polly.Timeout.TimeoutRejectedException":
                // Native handlers of phones say neither what failed nor when.
                case "System.Net.WebException":
                    return FailureVerdict.MaybeProcessed;
                default:
                    if (type.FullName?.StartsWith("Java.", StringComparison.Ordinal) == true)
                    {
                        return FailureVerdict.MaybeProcessed;
                    }

                    break;
            }
        }

        return FailureVerdict.DoNotQueue;
    }
}

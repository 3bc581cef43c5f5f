using System.Net;

namespace BgSync.Http.Outcomes;

/// <summary>Tells from a response to a replayed request what becomes of its entry.</summary>
internal static class ResponseClassifier
{
    /// <param name="status">The response's status.</param>
    /// <param name="hasKey">Whether the request carried an idempotency key.</param>
    public static ResponseVerdict Classify(HttpStatusCode status, bool hasKey) => status switch
    {
        >= HttpStatusCode.OK and < HttpStatusCode.MultipleChoices => ResponseVerdict.Delivered,
        HttpStatusCode.Unauthorized or HttpStatusCode.ProxyAuthenticationRequired
            or HttpStatusCode.NetworkAuthenticationRequired => ResponseVerdict.Pause,
        HttpStatusCode.RequestTimeout or (HttpStatusCode)425 or HttpStatusCode.TooManyRequests => ResponseVerdict.Retry,
        // With a key the server says that it is still busy with the first send (draft-ietf-httpapi-idempotency-key-header, 2.7).
        HttpStatusCode.Conflict => hasKey ? ResponseVerdict.Retry : ResponseVerdict.Reject,
        >= HttpStatusCode.InternalServerError => ResponseVerdict.Retry,
        _ => ResponseVerdict.Reject,
    };
}

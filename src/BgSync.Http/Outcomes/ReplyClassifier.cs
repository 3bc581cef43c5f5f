using System.Net;

namespace BgSync.Http.Outcomes;

/// <summary>Tells from a reply to a replayed request what becomes of its entry.</summary>
internal static class ReplyClassifier
{
    /// <param name="status">The reply's status.</param>
    /// <param name="hasKey">Whether the request carried an idempotency key.</param>
    public static ReplyVerdict Classify(HttpStatusCode status, bool hasKey) => status switch
    {
        >= HttpStatusCode.OK and < HttpStatusCode.MultipleChoices => ReplyVerdict.Delivered,
        HttpStatusCode.Unauthorized or HttpStatusCode.ProxyAuthenticationRequired
            or HttpStatusCode.NetworkAuthenticationRequired => ReplyVerdict.Pause,
        HttpStatusCode.RequestTimeout or (HttpStatusCode)425 or HttpStatusCode.TooManyRequests => ReplyVerdict.Retry,
        // With a key the server says that it is still busy with the first send (draft-ietf-httpapi-idempotency-key-header, 2.7).
        HttpStatusCode.Conflict => hasKey ? ReplyVerdict.Retry : ReplyVerdict.Reject,
        >= HttpStatusCode.InternalServerError => ReplyVerdict.Retry,
        _ => ReplyVerdict.Reject,
    };
}

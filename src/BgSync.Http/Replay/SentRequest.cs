using BgSync.Http.Capture;

namespace BgSync.Http.Replay;

/// <summary>What counts of a request as it was sent: the application may have changed it before, and a redirect changes it after.</summary>
/// <param name="Method">The method.</param>
/// <param name="HasKey">Whether it carries an idempotency key.</param>
internal readonly record struct SentRequest(HttpMethod Method, bool HasKey)
{
    /// <summary>Whether it may be sent once more when the server may have processed it.</summary>
    public bool IsRepeatable => HasKey || IdempotencyKey.IsIdempotent(Method);

    public static SentRequest Of(HttpRequestMessage request, string? keyHeader) =>
        new(request.Method, keyHeader is not null && request.Headers.NonValidated.Contains(keyHeader));
}

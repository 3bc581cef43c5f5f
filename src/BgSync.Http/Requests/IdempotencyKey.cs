namespace BgSync.Http.Requests;

/// <summary>The key by which a server recognises a request that it has seen.</summary>
internal static class IdempotencyKey
{
    /// <summary>Sees to it that a POST or PATCH carries a key, before its first send; the caller's own is never overwritten.</summary>
    /// <returns>Whether the request carries one.</returns>
    public static bool Ensure(HttpRequestMessage request, string? header, IdempotencyKeyFormat format, TimeProvider timeProvider)
    {
        if (header is null)
        {
            return false;
        }

        if (request.Headers.NonValidated.Contains(header))
        {
            return true;
        }

        if (request.Method != HttpMethod.Post && request.Method != HttpMethod.Patch)
        {
            return false;
        }

        var key = Guid.CreateVersion7(timeProvider.GetUtcNow()).ToString();
        return request.Headers.TryAddWithoutValidation(header, format == IdempotencyKeyFormat.QuotedString ? $"\"{key}\"" : key);
    }

    /// <summary>Whether sending a request twice does no more than sending it once (RFC 9110, 9.2.2).</summary>
    public static bool IsIdempotent(HttpMethod method) =>
        method == HttpMethod.Put || method == HttpMethod.Delete || method == HttpMethod.Get || method == HttpMethod.Head
        || method == HttpMethod.Options || method == HttpMethod.Trace;
}

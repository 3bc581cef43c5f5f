namespace BgSync.Http;

/// <summary>
/// The stored part of a request, its body apart: enough to send the same request again in another process.
/// </summary>
/// <remarks>Immutable and safe to share between threads.</remarks>
public sealed class RequestSnapshot
{
    /// <summary>The method, as the caller set it before any redirect.</summary>
    public required HttpMethod Method { get; init; }

    /// <summary>
    /// The absolute URI, as the caller set it before any redirect, without user information. Its path and query are replayed byte for byte.
    /// </summary>
    /// <remarks>
    /// Credentials in an address (<c>https://user:password@host/</c>) are never written down, and without them a replay would be another
    /// request. A request that carries them is therefore not queued, and <c>GetNotQueuedReason</c> says so. Have a handler inside make an
    /// <c>Authorization</c> header of them instead: it runs again on each replay.
    /// </remarks>
    public required Uri Uri { get; init; }

    /// <summary>The HTTP version asked for. Default: 1.1.</summary>
    public Version Version { get; init; } = System.Net.HttpVersion.Version11;

    /// <summary>How <see cref="Version"/> is negotiated. Default: <see cref="HttpVersionPolicy.RequestVersionOrLower"/>.</summary>
    public HttpVersionPolicy VersionPolicy { get; init; } = HttpVersionPolicy.RequestVersionOrLower;

    /// <summary>
    /// The request headers in the order they were added; a header with several values stands here once for each value.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>The content headers, likewise; <see langword="null"/> when the request had no content at all.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? ContentHeaders { get; init; }

    /// <summary>
    /// The origin of <see cref="Uri"/>: scheme, host and port, the unit of reachability
    /// (<see href="https://www.rfc-editor.org/rfc/rfc6454">RFC 6454</see>).
    /// </summary>
    public string Origin => OriginOf(Uri);

    /// <summary>The origin of an absolute URI.</summary>
    /// <exception cref="InvalidOperationException"><paramref name="uri"/> is relative.</exception>
    internal static string OriginOf(Uri uri)
    {
        ArgumentNullException.ThrowIfNull(uri);
        return uri.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped);
    }
}

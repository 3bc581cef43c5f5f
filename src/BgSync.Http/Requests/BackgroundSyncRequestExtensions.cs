namespace BgSync.Http.Requests;

/// <summary>What a caller says of a request to the queue that may take it.</summary>
public static class RequestNotes
{
    private static readonly HttpRequestOptionsKey<IReadOnlyDictionary<string, string>> s_metadata = new("BgSync.Http.Metadata");

    /// <summary>
    /// Gives the request notes of the caller's own, kept with its entry and never sent. Workbox's <c>metadata</c>.
    /// </summary>
    public static void SetBackgroundSyncMetadata(this HttpRequestMessage request, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(metadata);
        request.Options.Set(s_metadata, metadata);
    }

    internal static IReadOnlyDictionary<string, string>? MetadataOf(HttpRequestMessage request) =>
        request.Options.TryGetValue(s_metadata, out var metadata) ? metadata : null;
}

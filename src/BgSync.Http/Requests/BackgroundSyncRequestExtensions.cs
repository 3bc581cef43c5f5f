namespace System.Net.Http;

/// <summary>What a caller says of a request to the queue that may take it, and what the queue says back.</summary>
public static class BackgroundSyncRequestExtensions
{
    private static readonly HttpRequestOptionsKey<IReadOnlyDictionary<string, string>> _metadata = new("BgSync.Http.Metadata");
    private static readonly HttpRequestOptionsKey<long> _entryId = new("BgSync.Http.EntryId");

    /// <summary>
    /// Gives the request notes of the caller's own, kept with its entry and never sent. Workbox's <c>metadata</c>.
    /// </summary>
    public static void SetBackgroundSyncMetadata(this HttpRequestMessage request, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(metadata);
        request.Options.Set(_metadata, metadata);
    }

    /// <summary>The id of the entry that a request became.</summary>
    /// <returns><see langword="false"/> when the request was not queued.</returns>
    public static bool TryGetBackgroundSyncEntryId(this HttpRequestMessage request, out long entryId)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.Options.TryGetValue(_entryId, out entryId);
    }

    internal static IReadOnlyDictionary<string, string>? GetBackgroundSyncMetadata(this HttpRequestMessage request) =>
        request.Options.TryGetValue(_metadata, out var metadata) ? metadata : null;

    internal static void SetBackgroundSyncEntryId(this HttpRequestMessage request, long entryId) => request.Options.Set(_entryId, entryId);
}

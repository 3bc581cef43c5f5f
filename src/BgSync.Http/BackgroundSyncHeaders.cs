namespace BgSync.Http;

/// <summary>The headers of the response that a caller gets for a queued request with <see cref="WhenQueued.ReturnAccepted"/>.</summary>
public static class BackgroundSyncHeaders
{
    /// <summary>The header that bears the entry's id.</summary>
    public const string EntryId = "Background-Sync-Entry-Id";

    /// <summary>
    /// The header that says, in the words of <see cref="BgSync.Http.Coalescing"/>, what was made of the request and a queued one of the
    /// same key; missing when the request was queued on its own.
    /// </summary>
    /// <remarks>After <see cref="Coalescing.CancelOut"/> the id is that of the entry that was removed.</remarks>
    public const string Coalescing = "Background-Sync-Coalescing";
}

namespace BgSync.Http.Storage;

/// <summary>An end of a queue, at which an entry is taken, or added among those of its priority.</summary>
internal enum QueueEnd
{
    /// <summary>Behind all others: sent last. Workbox's <c>pushRequest</c>.</summary>
    Back,

    /// <summary>Before all others: sent first. Workbox's <c>unshiftRequest</c>.</summary>
    Front,
}

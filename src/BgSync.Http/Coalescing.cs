namespace BgSync.Http;

/// <summary>
/// The result for a request and the queued entry of the same key, as
/// <see cref="BackgroundSyncOptions.CoalesceBy(Func{HttpRequestMessage, string}, Coalescing)"/> says. Android WorkManager's
/// <c>APPEND</c>, <c>KEEP</c> and <c>REPLACE</c>, and their cancelling out.
/// </summary>
public enum Coalescing
{
    /// <summary>The request is queued behind the entry; both are sent.</summary>
    Append,

    /// <summary>The entry stays as it is, and the request is dropped.</summary>
    KeepFirst,

    /// <summary>
    /// The request takes the entry's place in the queue, and its id: the caller of either finds the same entry. What the entry was is
    /// dropped, its body and its idempotency key with it.
    /// </summary>
    /// <remarks>
    /// The entry keeps its place and priority. It expires when the request does, and begins its attempts anew, with 1 if what it was may
    /// have reached its server. A wait goes on, but a wait that the request asks for takes the place of a backoff or of a shorter one. An
    /// entry that is newer, because the request was being sent meanwhile, stays as by <see cref="KeepFirst"/>.
    /// </remarks>
    ReplaceQueued,

    /// <summary>
    /// The entry is removed and the request dropped: neither is sent, as when what was never created is deleted. An entry that may have
    /// reached its server (<see cref="QueuedEntry.Attempts"/> above 0) stays, and the request is queued behind it;
    /// one that is newer, because the request was being sent meanwhile, stays as by <see cref="KeepFirst"/>.
    /// </summary>
    CancelOut,
}

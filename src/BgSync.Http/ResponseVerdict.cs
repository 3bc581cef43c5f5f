namespace BgSync.Http;

/// <summary>
/// The meaning of a response to a replayed request means for its entry, as <see cref="BackgroundSyncOptions.ClassifyResponse"/> says it.
/// </summary>
public enum ResponseVerdict
{
    /// <summary>The server has it: the entry is removed.</summary>
    Delivered,

    /// <summary>The server cannot take it now: it is sent again after the backoff, or the <c>Retry-After</c>.</summary>
    Retry,

    /// <summary>
    /// Credentials are missing: nothing more is sent to the origin until its backoff ends, the application starts, the network changes, a
    /// live request is answered otherwise, or something is replayed by hand. The attempt counts.
    /// </summary>
    Hold,

    /// <summary>The server will never take it: it becomes a dead letter (<c>Rejected</c>).</summary>
    Reject,
}

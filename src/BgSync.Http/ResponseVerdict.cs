namespace BgSync.Http;

/// <summary>
/// What a response to a replayed request means for its entry, as <see cref="BackgroundSyncOptions.ClassifyResponse"/> says it.
/// </summary>
public enum ResponseVerdict
{
    /// <summary>The server has it: the entry is removed.</summary>
    Delivered,

    /// <summary>The server cannot take it now: it is sent again after the backoff, or the <c>Retry-After</c>.</summary>
    Retry,

    /// <summary>
    /// Credentials are missing: the queue is paused until the next live success or a replay by hand, and the attempt costs nothing.
    /// </summary>
    Pause,

    /// <summary>The server will never take it: it becomes a dead letter (<c>Rejected</c>).</summary>
    Reject,
}

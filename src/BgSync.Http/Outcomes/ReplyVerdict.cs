namespace BgSync.Http.Outcomes;

/// <summary>What a reply to a replayed request means for its entry.</summary>
internal enum ReplyVerdict
{
    /// <summary>The server has it: the entry is removed.</summary>
    Delivered,

    /// <summary>The server cannot take it now: it is sent again later.</summary>
    Retry,

    /// <summary>Credentials are missing: the queue is paused, and the attempt costs nothing.</summary>
    Pause,

    /// <summary>The server will never take it: it becomes a dead letter.</summary>
    Reject,
}

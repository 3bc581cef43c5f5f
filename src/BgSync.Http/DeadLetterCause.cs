namespace BgSync.Http;

/// <summary>Why an entry was not delivered.</summary>
public enum DeadLetterCause
{
    /// <summary>The server answered, and will not answer otherwise another time.</summary>
    Rejected = 1,

    /// <summary>It was older than its retention.</summary>
    Expired = 2,

    /// <summary>It was tried as often as is allowed.</summary>
    Exhausted = 3,

    /// <summary>The stored entry is not the one that was written, or no request can be made of it.</summary>
    Unreadable = 4,

    /// <summary>The server may have processed it, and it is neither idempotent nor keyed: sending it again could do it twice.</summary>
    MaybeProcessed = 5,

    /// <summary>The application dropped it just before it was sent (<c>OnReplaying</c>).</summary>
    Dropped = 6,

    /// <summary>It made room for a new one (<see cref="BackgroundSyncOptions.Limits"/>).</summary>
    DroppedForSpace = 7,

    /// <summary>The entry that it waited for was not delivered, or is not known to have been.</summary>
    PrerequisiteFailed = 8,
}

namespace BgSync.Http;

/// <summary>The kinds of event of an entry, or of its queue.</summary>
public enum EntryEventKind
{
    /// <summary>A request that failed was written to the queue.</summary>
    Queued = 1,

    /// <summary>A request failed and could not be queued; <see cref="EntryEvent.Reason"/> says why.</summary>
    NotQueued = 2,

    /// <summary>The entry is being sent.</summary>
    Sending = 3,

    /// <summary>The server has it; the entry was removed.</summary>
    Delivered = 4,

    /// <summary>The attempt failed; <see cref="EntryEvent.NextAttemptAt"/> says when the next one is due.</summary>
    WillRetry = 5,

    /// <summary>
    /// The entry became a <see cref="EntryEvent.DeadLetter"/>; one that has expired was deleted instead where
    /// <see cref="BackgroundSyncDeadLetterOptions.DiscardExpired"/> says so.
    /// </summary>
    DeadLettered = 6,

    /// <summary>The queue sends nothing; <see cref="EntryEvent.Reason"/> says why.</summary>
    Paused = 7,

    /// <summary>The queue sends again.</summary>
    Resumed = 8,

    /// <summary>Somebody else holds the entry now, and sends it.</summary>
    LeaseLost = 9,

    /// <summary>The entry was being sent when the application stopped, and stays queued.</summary>
    Released = 10,

    /// <summary>A dead letter was queued again.</summary>
    Requeued = 11,

    /// <summary>A dead letter was deleted, by the application or, as <see cref="EntryEvent.Reason"/> says, by a limit.</summary>
    Deleted = 12,

    /// <summary>The application took the entry out of the queue.</summary>
    Taken = 13,

    /// <summary>The application removed the entry.</summary>
    Removed = 14,

    /// <summary>The application edited the entry.</summary>
    Edited = 15,

    /// <summary>The application cleared the queue.</summary>
    Cleared = 16,

    /// <summary>A request could not be written down before its first send (<c>WriteAhead</c>), and is sent all the same.</summary>
    NotWrittenAhead = 17,

    /// <summary>A newer request of the same key took the entry's place; <see cref="EntryEvent.Request"/> is the newer one.</summary>
    Superseded = 18,

    /// <summary>A newer request of the same key, <see cref="EntryEvent.Request"/>, was dropped, because the entry stands for it.</summary>
    KeptFirst = 19,

    /// <summary>The entry and a newer request of the same key cancelled out; the entry was removed.</summary>
    CancelledOut = 20,

    /// <summary>
    /// The origin of the entry is held, and the entry waits with it; <see cref="EntryEvent.Reason"/> says what the server wants.
    /// </summary>
    Held = 21,
}

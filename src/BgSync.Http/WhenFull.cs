namespace BgSync.Http;

/// <summary>The action taken when a new entry does not fit into its queue.</summary>
public enum WhenFull
{
    /// <summary>The new entry is refused (<see cref="StoreFault.QueueFull"/>), and the queue stays as it is.</summary>
    RefuseNew,

    /// <summary>
    /// The first of the least urgent entries make room, as dead letters (<see cref="DeadLetterCause.DroppedForSpace"/>).
    /// </summary>
    DropOldest,

    /// <summary>
    /// The entries that expire first make room, as dead letters (<see cref="DeadLetterCause.DroppedForSpace"/>); those that expire
    /// at one time in the order in which they were queued.
    /// </summary>
    DropFirstToExpire,
}

namespace BgSync.Http;

/// <summary>The result of a replay by hand.</summary>
/// <param name="Delivered">Entries that were delivered while it ran.</param>
/// <param name="DeadLettered">Entries that became dead letters, or expired and were discarded, while it ran.</param>
/// <param name="Remaining">Entries that still stand in the queue.</param>
/// <param name="Completed">Whether all that could be sent was tried before the deadline.</param>
public readonly record struct ReplaySummary(long Delivered, long DeadLettered, long Remaining, bool Completed)
{
    /// <summary>Adds up two queues.</summary>
    public static ReplaySummary operator +(ReplaySummary left, ReplaySummary right) => Add(left, right);

    /// <summary>Adds up two queues.</summary>
    public static ReplaySummary Add(ReplaySummary left, ReplaySummary right) => new(
        left.Delivered + right.Delivered,
        left.DeadLettered + right.DeadLettered,
        left.Remaining + right.Remaining,
        left.Completed && right.Completed);
}

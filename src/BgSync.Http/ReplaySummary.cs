namespace BgSync.Http;

/// <summary>The result of a replay by hand.</summary>
/// <param name="Delivered">Entries that were delivered while it ran.</param>
/// <param name="DeadLettered">Entries that became dead letters, or expired and were discarded, while it ran.</param>
/// <param name="Remaining">Entries that still stand in the queue.</param>
/// <param name="Completed">Whether all that could be sent was tried before the deadline.</param>
public readonly record struct ReplaySummary(long Delivered, long DeadLettered, long Remaining, bool Completed)
{
    /// <summary>The result of two queues together.</summary>
    internal ReplaySummary Plus(ReplaySummary other) => new(
        Delivered + other.Delivered, DeadLettered + other.DeadLettered, Remaining + other.Remaining, Completed && other.Completed);
}

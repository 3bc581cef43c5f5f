namespace BgSync.Http.Storage.Memory;

/// <summary>A queue: its entries by position, its lanes by name, its dead letters in the order of dying, its receipts.</summary>
internal sealed class MemoryQueue
{
    private long _nextBack;
    private long _nextFront = -1;

    public SortedDictionary<long, MemoryEntry> Pending { get; } = [];

    public SortedDictionary<string, MemoryLane> Lanes { get; } = new(StringComparer.Ordinal);

    public List<DeadLetter> DeadLettered { get; } = [];

    /// <summary>How entries ended, by their id.</summary>
    public Dictionary<long, Receipt> Receipts { get; } = [];

    public QueuePause? Pause { get; set; }

    public long NextPosition(EntryPriority priority, QueueEnd end) =>
        EntryPosition.At(priority, end == QueueEnd.Back ? _nextBack : _nextFront);

    public long TakePosition(EntryPriority priority, QueueEnd end) =>
        EntryPosition.At(priority, end == QueueEnd.Back ? _nextBack++ : _nextFront--);

    public QueueCounts Count(DateTimeOffset now) => new(
        Pending.Count,
        DeadLettered.Count,
        Pending.Values.Sum(static entry => (long)entry.Body.Length),
        Pending.Values.Count(entry => entry.ExpiresAt < now));
}

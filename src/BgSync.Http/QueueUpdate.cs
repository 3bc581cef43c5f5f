namespace BgSync.Http;

/// <summary>How a watched queue stands, and what has happened since the update before.</summary>
/// <param name="Counts">How much stands in the queue now.</param>
/// <param name="Events">The events that happened, in order; empty in the first update.</param>
/// <param name="Missed">How many older events a slow reader has missed.</param>
public sealed record QueueUpdate(QueueCounts Counts, IReadOnlyList<EntryEvent> Events, long Missed);

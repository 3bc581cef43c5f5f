namespace BgSync.Http;

/// <summary>How much stands in a queue.</summary>
/// <param name="Pending">Entries waiting or being sent, those past their retention that were not yet moved included.</param>
/// <param name="DeadLettered">Dead letters.</param>
/// <param name="Bytes">The bodies of the pending entries, in bytes.</param>
/// <param name="Expired">Those of the pending entries that are past their retention.</param>
public readonly record struct QueueCounts(long Pending, long DeadLettered, long Bytes, long Expired = 0);

namespace BgSync.Http.Storage;

/// <summary>How much stands in a queue.</summary>
/// <param name="Live">Entries waiting or being sent, those past their retention that were not yet moved included.</param>
/// <param name="Dead">Dead letters.</param>
/// <param name="Bytes">The bodies of the live entries, in bytes.</param>
/// <param name="Expired">Those of the live entries that are past their retention.</param>
public readonly record struct QueueCounts(long Live, long Dead, long Bytes, long Expired = 0);

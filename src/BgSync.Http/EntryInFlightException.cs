namespace BgSync.Http;

/// <summary>
/// The entry is being sent right now, or will be within a moment behind another one of its lane, and was left as it is. Try again when its
/// replay has ended.
/// </summary>
public sealed class EntryInFlightException : InvalidOperationException
{
    internal EntryInFlightException(string queue, long entryId)
        : base($"Entry {entryId} of queue '{queue}' is being sent right now and was left as it is. Try again when its replay has ended.")
    {
        Queue = queue;
        EntryId = entryId;
    }

    /// <summary>The queue's name.</summary>
    public string Queue { get; }

    /// <summary>The entry's id.</summary>
    public long EntryId { get; }
}

namespace BgSync.Http.Queue;

/// <summary>The fate of a request that was to be queued.</summary>
/// <param name="EntryId">The entry that it is now, or whose place it took, that stands for it, or that it cancelled.</param>
/// <param name="How">Which of these.</param>
/// <param name="Request">The request of a new entry, by which it is known when it is taken back.</param>
/// <param name="Timestamp">The timestamp of a new entry.</param>
internal readonly record struct EnqueueResult(
    long EntryId, Coalescing How, RequestSnapshot? Request = null, DateTimeOffset Timestamp = default)
{
    /// <summary>Whether an entry is still the one that was added: it was neither edited nor made one with another.</summary>
    public bool IsUnchanged(QueuedEntry entry) =>
        entry.Request.Method == Request?.Method
        && entry.Request.Uri == Request.Uri
        && entry.Timestamp.ToUnixTimeMilliseconds() == Timestamp.ToUnixTimeMilliseconds()
        && entry.Request.Headers.SequenceEqual(Request.Headers);
}

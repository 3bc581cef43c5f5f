using BgSync.Http.Events;

namespace BgSync.Http.Queue;

/// <summary>A live request that is dealt with.</summary>
/// <param name="EnqueueResult">The entry that it became.</param>
/// <param name="Failure">The failure that brought it here.</param>
/// <param name="Waiter">Set where the caller waits for the entry; to be disposed of.</param>
internal sealed record QueuedRequest(EnqueueResult EnqueueResult, Exception Failure, EntryWaiter? Waiter)
{
    public long EntryId => EnqueueResult.EntryId;
}

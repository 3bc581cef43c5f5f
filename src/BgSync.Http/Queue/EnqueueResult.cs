namespace BgSync.Http.Queue;

/// <summary>What became of a request that is dealt with.</summary>
/// <param name="EntryId">The entry that it is now, or whose place it took, that stands for it, or that it cancelled.</param>
/// <param name="How">Which of these.</param>
internal readonly record struct EnqueueResult(long EntryId, Coalescing How);

namespace BgSync.Http.Queues;

/// <summary>What became of a request that is dealt with.</summary>
/// <param name="EntryId">The entry that it is now, or whose place it took, that stands for it, or that it cancelled.</param>
/// <param name="How">Which of these.</param>
internal readonly record struct Placement(long EntryId, Coalescing How);

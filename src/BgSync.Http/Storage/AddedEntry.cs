namespace BgSync.Http.Storage;

/// <summary>An entry that was added.</summary>
/// <param name="Id">Its id: unique in the store, never used again.</param>
/// <param name="Dropped">The entries that made room for it, in the order in which they died; mostly empty.</param>
internal sealed record AddedEntry(long Id, IReadOnlyList<DeadLetter> Dropped);

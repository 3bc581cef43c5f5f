namespace BgSync.Http.Storage;

/// <summary>What became of a lease whose entry was delivered, and of its lane.</summary>
/// <param name="IsDone">Whether the entry was removed; otherwise the lease was lost, and nothing changed.</param>
/// <param name="Next">The next entry of the lane, leased; <see langword="null"/> when none was to be leased.</param>
public readonly record struct Completion(bool IsDone, LeasedEntry? Next);

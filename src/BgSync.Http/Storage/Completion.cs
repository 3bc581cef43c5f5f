namespace BgSync.Http.Storage;

/// <summary>The result of settling delivered entries, and the state of their lane.</summary>
/// <param name="IsDone">Whether the entries were removed; otherwise the lease was lost, and nothing changed.</param>
/// <param name="Next">The next entries of the lane, leased together, in their order.</param>
internal readonly record struct Completion(bool IsDone, IReadOnlyList<LeasedEntry> Next);

using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>What became of a leased entry.</summary>
/// <param name="HasLeftLane">Whether the entry has left its lane.</param>
/// <param name="Next">The next entry of its lane, leased; <see langword="null"/> when none was leased.</param>
internal readonly record struct Replayed(bool HasLeftLane, LeasedEntry? Next = null);

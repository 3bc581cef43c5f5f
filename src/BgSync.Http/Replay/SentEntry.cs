using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>An entry that its server has taken, and that is still to be removed.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="Lease">Its lease.</param>
/// <param name="Status">The status of the reply.</param>
/// <param name="Receipt">What its receipt says; <see langword="null"/> when none is kept.</param>
/// <param name="Took">How long the attempt took.</param>
internal sealed record SentEntry(StoredEntry Entry, Lease Lease, int Status, Delivery? Receipt, TimeSpan Took);

using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>An entry that its server has taken, and that is still to be removed.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="Lease">Its lease.</param>
/// <param name="Status">The status of the response.</param>
/// <param name="Receipt">What its receipt says; <see langword="null"/> when none is kept.</param>
/// <param name="Took">How long the attempt took.</param>
internal sealed record SentEntry(QueuedEntry Entry, Lease Lease, int Status, Settlement.Delivered? Receipt, TimeSpan Took);

namespace BgSync.Http.Storage;

/// <summary>
/// Which entries of a lane are leased next: its head, if it is due and addressed to <paramref name="Origin"/>, and those behind it, in
/// their order, before the first one that is addressed elsewhere, has a <see cref="QueuedEntry.Prerequisite"/> or was asked to wait for
/// longer. One that cannot be read is leased too, and says why.
/// </summary>
/// <param name="Origin">The origin that may be sent to.</param>
/// <param name="Limit">How many at most; 1 at least.</param>
/// <param name="Bytes">How long the bodies may be together. The head is leased however long its own is.</param>
/// <param name="Duration">How long the lease lasts.</param>
internal sealed record NextLease(string Origin, int Limit, long Bytes, TimeSpan Duration);

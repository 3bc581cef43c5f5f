using BgSync.Http.Outcomes;

namespace BgSync.Http.Storage;

/// <summary>A leased entry that its server has taken.</summary>
/// <param name="Lease">The lease.</param>
/// <param name="Delivery">
/// The text of its receipt, written at one stroke with the removal; <see langword="null"/> writes none, or where a live entry waits for it,
/// one that says no more than that it was delivered.
/// </param>
internal readonly record struct DeliveredEntry(Lease Lease, Settlement.Delivered? Delivery);

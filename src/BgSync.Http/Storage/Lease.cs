namespace BgSync.Http.Storage;

/// <summary>The right to send an entry, until a time.</summary>
/// <param name="EntryId">The entry leased.</param>
/// <param name="Token">
/// The fencing token: a completion that bears an older one changes nothing. Entries that were leased together have the same one.
/// </param>
internal sealed record Lease(long EntryId, Guid Token);

namespace BgSync.Http.Storage;

/// <summary>The right to send the head of a lane, until a time.</summary>
/// <param name="EntryId">The entry leased.</param>
/// <param name="Token">The fencing token: a completion that bears an older one changes nothing.</param>
public sealed record Lease(long EntryId, Guid Token);

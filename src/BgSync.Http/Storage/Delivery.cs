namespace BgSync.Http.Storage;

/// <summary>How an entry was delivered, to be kept as its receipt.</summary>
/// <param name="StatusCode">The status of the reply.</param>
/// <param name="Reply">The reply; <see langword="null"/> when only its status is kept.</param>
public sealed record Delivery(int StatusCode, StoredReply? Reply = null);

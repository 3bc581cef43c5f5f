namespace BgSync.Http.Queues;

/// <summary>The failure of a live request that is to be queued.</summary>
/// <param name="Exception">What the caller would get.</param>
/// <param name="Counts">Whether the attempt may have reached the server.</param>
/// <param name="RetryAfter">How long the server asked to wait.</param>
internal readonly record struct LiveFailure(Exception Exception, bool Counts, TimeSpan? RetryAfter = null);

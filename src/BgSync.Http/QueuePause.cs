namespace BgSync.Http;

/// <summary>Why a queue sends nothing.</summary>
/// <param name="Cause">The party that paused it.</param>
/// <param name="Reason">A message for a person, without secrets.</param>
/// <param name="Since">Since when.</param>
public sealed record QueuePause(PauseCause Cause, string Reason, DateTimeOffset Since);

namespace BgSync.Http;

/// <summary>Why a queue sends nothing.</summary>
/// <param name="Cause">Who paused it.</param>
/// <param name="Reason">What a person should know, without secrets.</param>
/// <param name="Since">Since when.</param>
public sealed record QueuePause(PauseCause Cause, string Reason, DateTimeOffset Since);

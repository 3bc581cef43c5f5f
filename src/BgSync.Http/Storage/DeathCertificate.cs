namespace BgSync.Http.Storage;

/// <summary>Why an entry becomes a dead letter.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Error">What went wrong, without secrets.</param>
/// <param name="StatusCode">The status of the last reply, if there was one.</param>
/// <param name="Reply">The last reply, if there was one and more than its status is kept.</param>
/// <param name="IsKept">Whether the dead letter is kept; otherwise the entry is removed with its body.</param>
public sealed record DeathCertificate(
    DeadLetterReason Reason, string? Error = null, int? StatusCode = null, StoredReply? Reply = null, bool IsKept = true)
{
    /// <summary>Whether it died of an attempt, which is the last of the <see cref="FailedAttempt"/>s that are kept.</summary>
    internal bool IsOfAttempt => Reason is DeadLetterReason.Rejected or DeadLetterReason.Exhausted or DeadLetterReason.MaybeProcessed;
}

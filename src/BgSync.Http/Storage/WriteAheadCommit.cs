namespace BgSync.Http.Storage;

/// <summary>How a request written ahead enters its queue, after its first attempt has failed.</summary>
/// <param name="Delay">How long the entry waits before its first replay, should it head its lane.</param>
/// <param name="RequestedDelay">Whether the wait was asked for, by the server or the caller, so that only time ends it.</param>
/// <param name="Attempts">How many attempts that may have reached the server were made.</param>
/// <param name="LastError">The failure, without secrets.</param>
/// <param name="LastStatusCode">The status of the response, if there was one.</param>
/// <param name="Limits">How much the queue may hold with it; <see langword="null"/> for no limit.</param>
internal sealed record WriteAheadCommit(
    TimeSpan Delay,
    bool RequestedDelay = false,
    int Attempts = 0,
    string? LastError = null,
    int? LastStatusCode = null,
    QueueLimits? Limits = null)
{
    /// <summary>Whether the attempt is one of the <see cref="FailedAttempt"/>s that are kept.</summary>
    internal bool HasFailedAttempt => LastError is not null && Attempts > 0;
}

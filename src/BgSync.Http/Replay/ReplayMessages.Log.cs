using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>The log messages of the replay.</summary>
internal static partial class ReplayMessages
{
    [LoggerMessage(3000, LogLevel.Debug, "Queue '{Queue}' is polled: {Triggers}")]
    public static partial void Triggered(ILogger logger, string queue, ReplaySignal.Triggers triggers);

    [LoggerMessage(3001, LogLevel.Error,
        "Queue '{Queue}' could not be polled and will be again; further failures are told once a minute: {Reason}")]
    public static partial void PollFailed(ILogger logger, Exception exception, string queue, string reason);

    [LoggerMessage(3040, LogLevel.Error, "The network cannot be listened to; queues are replayed by time: {Reason}")]
    public static partial void NetworkNotHeard(ILogger logger, Exception exception, string reason);

    [LoggerMessage(3041, LogLevel.Error,
        "The store cannot be listened to; the entries of other processes are found by time: {Reason}")]
    public static partial void StoreNotHeard(ILogger logger, Exception exception, string reason);

    [LoggerMessage(3004, LogLevel.Warning,
        "Queue '{Queue}': {Attempts} attempts did not end when the queue was stopped and are left behind; their leases run out")]
    public static partial void AttemptsLeft(ILogger logger, string queue, int attempts);

    [LoggerMessage(3010, LogLevel.Error,
        "Queue '{Queue}': the attempt at entry {EntryId} was lost; it is made again when its lease ends: {Reason}")]
    public static partial void AttemptLost(ILogger logger, Exception exception, string queue, long entryId, string reason);

    [LoggerMessage(3012, LogLevel.Error,
        "Queue '{Queue}': the settlement of entry {EntryId} could not be written and will be again; further failures are told once a "
        + "minute: {Reason}")]
    public static partial void SettlementNotWritten(ILogger logger, Exception exception, string queue, long entryId, string reason);

    [LoggerMessage(3013, LogLevel.Warning,
        "Queue '{Queue}': entry {EntryId} could not be given back at the stop; it is sent again when its lease ends: {Reason}")]
    public static partial void NotReleased(ILogger logger, Exception exception, string queue, long entryId, string reason);

    [LoggerMessage(3020, LogLevel.Error, "Queue '{Queue}': OnReplayed failed at entry {EntryId}, which changes nothing: {Reason}")]
    public static partial void HookFailed(ILogger logger, Exception exception, string queue, long entryId, string reason);

    [LoggerMessage(3021, LogLevel.Warning,
        "Queue '{Queue}': {Origin} answered entry {EntryId}, which is JSON, by {Status} with a page of HTML. It counts as delivered. If a "
        + "captive portal answered, set ExpectContentType or DeliveredStatuses. Told once.")]
    public static partial void MayBePortal(ILogger logger, string queue, long entryId, string origin, int status);

    [LoggerMessage(3022, LogLevel.Information,
        "Queue '{Queue}': entry {EntryId} was changed by OnReplaying after an attempt whose outcome is unknown, and has a new idempotency "
        + "key")]
    public static partial void KeyRenewed(ILogger logger, string queue, long entryId);

    [LoggerMessage(3030, LogLevel.Error,
        "Queue '{Queue}': OnSync failed in attempt {Attempt} and is called again after the backoff: {Reason}")]
    public static partial void SyncFailed(ILogger logger, Exception exception, string queue, int attempt, string reason);

    [LoggerMessage(3031, LogLevel.Error,
        "Queue '{Queue}': OnSync failed in attempt {Attempt}, its last, and waits for a trigger: {Reason}")]
    public static partial void SyncFailedForNow(ILogger logger, Exception exception, string queue, int attempt, string reason);
}

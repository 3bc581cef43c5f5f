using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class ReplayLoop
{
    [LoggerMessage(3000, LogLevel.Debug, "Queue '{Queue}' is looked at: {Triggers}")]
    private partial void LogTriggered(string queue, ReplayTriggers triggers);

    [LoggerMessage(3001, LogLevel.Error, "Queue '{Queue}' could not be looked at and will be again: {Reason}")]
    private partial void LogLookFailed(Exception exception, string queue, string reason);

    [LoggerMessage(3002, LogLevel.Error, "Queue '{Queue}': the attempt at entry {EntryId} was lost; it is made again when its lease ends: {Reason}")]
    private partial void LogAttemptLost(Exception exception, string queue, long entryId, string reason);

    [LoggerMessage(3003, LogLevel.Information, "Queue '{Queue}': entry {EntryId} was being sent at the stop and was given back")]
    private partial void LogGivenBack(string queue, long entryId);

    [LoggerMessage(3004, LogLevel.Error, "Queue '{Queue}': what became of entry {EntryId} could not be written down and will be again: {Reason}")]
    private partial void LogSettleFailed(Exception exception, string queue, long entryId, string reason);
}

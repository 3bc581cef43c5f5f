using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class ReplayLoop
{
    [LoggerMessage(3000, LogLevel.Debug, "Queue '{Queue}' is looked at: {Triggers}")]
    private partial void LogTriggered(string queue, ReplayTriggers triggers);

    [LoggerMessage(3001, LogLevel.Error, "Queue '{Queue}' could not be looked at and will be again: {Reason}")]
    private partial void LogLookFailed(Exception exception, string queue, string reason);
}

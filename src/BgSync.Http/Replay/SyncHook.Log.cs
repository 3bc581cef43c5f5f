using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class SyncHook
{
    [LoggerMessage(3030, LogLevel.Error,
        "Queue '{Queue}': OnSync failed in attempt {Attempt} and is called again after the backoff: {Reason}")]
    private partial void LogFailed(Exception exception, string queue, int attempt, string reason);

    [LoggerMessage(3031, LogLevel.Error,
        "Queue '{Queue}': OnSync failed in attempt {Attempt}, its last, and waits for a trigger: {Reason}")]
    private partial void LogFailedForNow(Exception exception, string queue, int attempt, string reason);
}

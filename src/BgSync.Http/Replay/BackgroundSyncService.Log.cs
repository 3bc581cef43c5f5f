using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class BackgroundSyncService
{
    [LoggerMessage(3040, LogLevel.Error, "The network cannot be listened to; queues are replayed by the timer and by hand: {Reason}")]
    private partial void LogNetworkNotHeard(Exception exception, string reason);

    [LoggerMessage(3041, LogLevel.Error, "What other processes queue cannot be listened to; queues are looked at by the timer: {Reason}")]
    private partial void LogStoreNotHeard(Exception exception, string reason);
}

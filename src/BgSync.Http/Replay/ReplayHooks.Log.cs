using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class ReplayHooks
{
    [LoggerMessage(3020, LogLevel.Error, "Queue '{Queue}': OnReplayed failed at entry {EntryId}, which changes nothing: {Reason}")]
    private partial void LogReplayedFailed(Exception exception, string queue, long entryId, string reason);
}

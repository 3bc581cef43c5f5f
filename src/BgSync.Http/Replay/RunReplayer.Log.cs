using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class RunReplayer
{
    [LoggerMessage(3010, LogLevel.Error,
        "Queue '{Queue}': the attempt at entry {EntryId} was lost; it is made again when its lease ends: {Reason}")]
    private partial void LogAttemptLost(Exception exception, string queue, long entryId, string reason);
}

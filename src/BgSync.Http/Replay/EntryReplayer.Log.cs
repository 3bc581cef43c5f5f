using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class EntryReplayer
{
    [LoggerMessage(3010, LogLevel.Error,
        "Queue '{Queue}': the attempt at entry {EntryId} was lost; it is made again when its lease ends: {Reason}")]
    private partial void LogAttemptLost(Exception exception, string queue, long entryId, string reason);

    [LoggerMessage(3012, LogLevel.Error,
        "Queue '{Queue}': what became of entry {EntryId} could not be written down and will be again: {Reason}")]
    private partial void LogSettleFailed(Exception exception, string queue, long entryId, string reason);
}

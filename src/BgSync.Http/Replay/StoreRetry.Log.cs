using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

internal sealed partial class StoreRetry
{
    [LoggerMessage(3012, LogLevel.Error,
        "Queue '{Queue}': what became of entry {EntryId} could not be written down and will be again: {Reason}")]
    private partial void LogWriteFailed(Exception exception, string queue, long entryId, string reason);
}

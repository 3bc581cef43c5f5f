using Microsoft.Extensions.Logging;

namespace BgSync.Http.Queue;

internal sealed partial class Coalescer
{
    [LoggerMessage(2045, LogLevel.Warning,
        "Queue '{Queue}': a request was queued behind entry {EntryId} of its key, because the function of CoalesceBy failed: {Reason}")]
    private partial void LogFailed(Exception exception, string queue, long entryId, string reason);

    [LoggerMessage(2046, LogLevel.Warning,
        "Queue '{Queue}': a request was queued without a look at others of its key, because those before it took longer than {Limit}")]
    private partial void LogNoTurn(string queue, TimeSpan limit);
}

using Microsoft.Extensions.Logging;

namespace BgSync.Http.LiteDB;

internal sealed partial class LiteDBQueueStore
{
    private static partial class Log
    {
        [LoggerMessage(4110, LogLevel.Warning,
            "{Leases} leases of a process that died were voided in the queue store {Path}; their requests are sent again.")]
        public static partial void Reclaimed(ILogger logger, int leases, string path);
    }
}

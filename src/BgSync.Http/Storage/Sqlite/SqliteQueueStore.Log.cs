using Microsoft.Extensions.Logging;

namespace BgSync.Http.Storage.Sqlite;

internal sealed partial class SqliteQueueStore
{
    internal static partial class Log
    {
        [LoggerMessage(4000, LogLevel.Debug, "Opened the queue store {Path}.")]
        public static partial void Opened(ILogger logger, string path);

        [LoggerMessage(4001, LogLevel.Error,
            "The queue store {Path} was damaged. It was moved aside whole, to {Aside}; {Entries} entries and {DeadLetters} dead "
            + "letters were recovered from it. Check the disk; keep the old file until nothing is missed.")]
        public static partial void Recovered(ILogger logger, string path, string aside, int entries, int deadLetters);

        [LoggerMessage(4002, LogLevel.Warning,
            "{Leases} leases of a process that died were voided in the queue store {Path}; their requests are sent again.")]
        public static partial void Reclaimed(ILogger logger, int leases, string path);

        [LoggerMessage(4003, LogLevel.Error, "Damage was found in the queue store {Path}; the next call recovers what can be read.")]
        public static partial void DamageFound(ILogger logger, string path);
    }
}

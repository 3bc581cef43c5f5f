using Microsoft.Extensions.Logging;

namespace BgSync.Http.PostgreSql;

internal sealed partial class PostgreSqlConnections
{
    private static partial class Log
    {
        [LoggerMessage(4300, LogLevel.Debug, "Opened the queue store in schema {Schema} of {Database}.")]
        public static partial void Opened(ILogger logger, string schema, string database);

        [LoggerMessage(4301, LogLevel.Warning,
            "The PostgreSQL server runs with fsync off: what it says to be on disk is lost in a power cut, queued requests too.")]
        public static partial void NoFsync(ILogger logger);
    }
}

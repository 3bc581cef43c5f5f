using Microsoft.Extensions.Logging;

namespace BgSync.Http.PostgreSql;

internal sealed partial class PostgreSqlAnnouncer
{
    [LoggerMessage(4350, LogLevel.Warning, "The other processes could not be told of a change; they see it at their next look: {Reason}")]
    private partial void LogNotTold(Exception exception, string reason);
}

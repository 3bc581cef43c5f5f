using Microsoft.Extensions.Logging;

namespace BgSync.Http.PostgreSql;

internal sealed partial class PostgreSqlListener
{
    [LoggerMessage(4360, LogLevel.Debug, "Listens on {Channel} to what other processes queue.")]
    private partial void LogListening(string channel);

    [LoggerMessage(4361, LogLevel.Warning, "What other processes queue is not heard; queues are looked at by the timer meanwhile: {Reason}")]
    private partial void LogNotHeard(Exception exception, string reason);

    [LoggerMessage(4362, LogLevel.Error, "Who listens to the queue store has failed: {Reason}")]
    private partial void LogSubscriberFailed(Exception exception, string reason);
}

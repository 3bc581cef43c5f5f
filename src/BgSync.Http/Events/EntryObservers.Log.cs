using Microsoft.Extensions.Logging;

namespace BgSync.Http.Events;

internal sealed partial class EntryObservers
{
    [LoggerMessage(2020, LogLevel.Error, "{Observer} failed at the event {Kind} of queue '{Queue}', entry {EntryId}: {Reason}")]
    private partial void LogFailed(
        Exception exception, string observer, EntryEventKind kind, string queue, long? entryId, string reason);

    [LoggerMessage(2021, LogLevel.Warning, "{Observer} is slower than events happen and has missed {Missed} of them")]
    private partial void LogMissed(string observer, long missed);

    [LoggerMessage(2022, LogLevel.Error, "The observers could not be made, and are told nothing: {Reason}")]
    private partial void LogNotMade(Exception exception, string reason);
}

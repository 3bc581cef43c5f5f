using Microsoft.Extensions.Logging;

namespace BgSync.Http.Events;

internal sealed partial class EntryEvents
{
    [LoggerMessage(2000, LogLevel.Information,
        "Queue '{Queue}': entry {EntryId} queued, {Method} {Origin}{Path} with {BodyLength} bytes: {Error}")]
    private partial void LogQueued(
        string queue, long entryId, HttpMethod method, string origin, string path, long bodyLength, string? error);

    [LoggerMessage(2001, LogLevel.Warning, "Queue '{Queue}': {Method} {Origin}{Path} failed and was not queued: {Reason}")]
    private partial void LogNotQueued(string queue, HttpMethod method, string origin, string path, string reason);

    [LoggerMessage(2002, LogLevel.Debug, "Queue '{Queue}': entry {EntryId} is being sent, attempt {Attempt}")]
    private partial void LogSending(string queue, long entryId, int attempt);

    [LoggerMessage(2003, LogLevel.Information, "Queue '{Queue}': entry {EntryId} delivered, status {Status}")]
    private partial void LogDelivered(string queue, long entryId, int status);

    [LoggerMessage(2004, LogLevel.Information, "Queue '{Queue}': entry {EntryId} will be sent again in {Delay}: {Error}")]
    private partial void LogWillRetry(string queue, long entryId, TimeSpan delay, string? error);

    [LoggerMessage(2016, LogLevel.Warning,
        "Queue '{Queue}': entry {EntryId} waits for the network, a live success, a start, a new entry or a replay by hand: {Error}")]
    private partial void LogWaitsForTrigger(string queue, long entryId, string? error);

    [LoggerMessage(2005, LogLevel.Warning, "Queue '{Queue}': entry {EntryId} became a dead letter, {Reason} (status {Status}): {Error}")]
    private partial void LogDeadLettered(string queue, long entryId, DeadLetterCause reason, int? status, string? error);

    [LoggerMessage(2006, LogLevel.Warning, "Queue '{Queue}': the lease of entry {EntryId} was lost; somebody else sends it")]
    private partial void LogLeaseLost(string queue, long entryId);

    [LoggerMessage(2007, LogLevel.Warning, "Queue '{Queue}' is paused by {Cause}: {Reason}")]
    private partial void LogPaused(string queue, PauseCause cause, string reason);

    [LoggerMessage(2008, LogLevel.Information, "Queue '{Queue}' is resumed")]
    private partial void LogResumed(string queue);

    [LoggerMessage(2009, LogLevel.Information, "Queue '{Queue}': dead letter {EntryId} queued again")]
    private partial void LogRequeued(string queue, long entryId);

    [LoggerMessage(2010, LogLevel.Information, "Queue '{Queue}': dead letter {EntryId} deleted: {Reason}")]
    private partial void LogDeleted(string queue, long entryId, string reason);

    [LoggerMessage(2011, LogLevel.Information, "Queue '{Queue}': entry {EntryId} taken out by hand")]
    private partial void LogTaken(string queue, long entryId);

    [LoggerMessage(2012, LogLevel.Information, "Queue '{Queue}': entry {EntryId} removed by hand")]
    private partial void LogRemoved(string queue, long entryId);

    [LoggerMessage(2013, LogLevel.Information, "Queue '{Queue}': entry {EntryId} edited by hand")]
    private partial void LogEdited(string queue, long entryId);

    [LoggerMessage(2014, LogLevel.Information, "Queue '{Queue}' cleared by hand of {Entries} entries")]
    private partial void LogCleared(string queue, long entries);

    [LoggerMessage(2015, LogLevel.Information, "Queue '{Queue}': entry {EntryId} was being sent at the stop and was given back")]
    private partial void LogReleased(string queue, long entryId);

    [LoggerMessage(2017, LogLevel.Warning, "Queue '{Queue}': entry {EntryId} waits, because {Origin} is held: {Reason}")]
    private partial void LogHeld(string queue, long entryId, string origin, string reason);

    [LoggerMessage(2018, LogLevel.Information,
        "Queue '{Queue}': entry {EntryId} has a new idempotency key, because it was edited after an attempt that may have reached its server")]
    private partial void LogNewKey(string queue, long entryId);

    [LoggerMessage(2019, LogLevel.Information, "Queue '{Queue}': entry {EntryId} taken back, because its caller cancelled")]
    private partial void LogTakenBack(string queue, long entryId);

    [LoggerMessage(2060, LogLevel.Warning,
        "Queue '{Queue}': entry {EntryId} is queued, although its caller was told that it is not: the store took longer than EnqueueTimeout")]
    private partial void LogQueuedLate(string queue, long entryId);

    [LoggerMessage(2061, LogLevel.Error, "Queue '{Queue}': the function of {Callback} failed, and {Consequence}: {Reason}")]
    private partial void LogCallbackFailed(Exception exception, string queue, string callback, string consequence, string reason);

    [LoggerMessage(2030, LogLevel.Warning, "Queue '{Queue}': entry {EntryId} was discarded, {Reason}: {Error}")]
    private partial void LogDiscarded(string queue, long entryId, DeadLetterCause reason, string? error);

    [LoggerMessage(2031, LogLevel.Warning,
        "Queue '{Queue}': entry {EntryId} has failed in attempt {Attempt}, and its lane goes on without it")]
    private partial void LogLeavesLane(string queue, long entryId, int attempt);

    [LoggerMessage(2040, LogLevel.Information,
        "Queue '{Queue}': entry {EntryId} superseded by {Method} {Origin}{Path} with {BodyLength} bytes: {Error}")]
    private partial void LogSuperseded(
        string queue, long entryId, HttpMethod method, string origin, string path, long bodyLength, string error);

    [LoggerMessage(2041, LogLevel.Information, "Queue '{Queue}': {Method} {Origin}{Path} dropped, because entry {EntryId} stands for it")]
    private partial void LogKeptFirst(string queue, long entryId, HttpMethod method, string origin, string path);

    [LoggerMessage(2042, LogLevel.Information, "Queue '{Queue}': entry {EntryId} removed, because a newer request cancels it out")]
    private partial void LogCancelledOut(string queue, long entryId);

    [LoggerMessage(2046, LogLevel.Warning,
        "Queue '{Queue}': a request was queued without a look at others of its key, because those before it took longer than {Limit}")]
    private partial void LogCoalescingSkipped(string queue, TimeSpan limit);

    [LoggerMessage(2050, LogLevel.Warning,
        "Queue '{Queue}': {Method} {Origin}{Path} is sent without having been written down (WriteAhead): {Reason}")]
    private partial void LogNotWrittenAhead(string queue, HttpMethod method, string origin, string path, string reason);

    [LoggerMessage(2051, LogLevel.Error,
        "Queue '{Queue}': a request that needs no queue could not be forgotten (WriteAhead). It will be tried again; should the "
        + "application end before, the next one sends the request once more: {Reason}")]
    private partial void LogWriteAheadNotDiscarded(Exception exception, string queue, string reason);
}

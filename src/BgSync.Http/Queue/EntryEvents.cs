using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Queue;

/// <summary>
/// Every event in an entry's life: a log message with a stable id, a metric, and a word to all who listen. Neither log nor metric
/// bears bodies, queries or header values.
/// </summary>
internal sealed partial class EntryEvents(
    ILogger<EntryEvents> logger,
    BackgroundSyncMetrics metrics,
    EntryEventFeed feed,
    EntryObservers observers,
    EntryWaiters waiters,
    TimeProvider timeProvider)
{
    public void Queued(string queue, long id, NewEntry entry)
    {
        metrics.Queued(queue);
        LogQueued(
            queue, id, entry.Request.Method, entry.Request.Origin, entry.Request.Uri.AbsolutePath, entry.Body.Length,
            entry.LastError ?? "by hand");
        Publish(EntryEventKind.Queued, queue, id, happened => happened with { Request = entry.Request, Reason = entry.LastError });
    }

    /// <summary>A request that a process was sending when it died.</summary>
    public void Queued(QueuedEntry entry)
    {
        metrics.Queued(entry.Queue);
        LogQueued(
            entry.Queue,
            entry.Id,
            entry.Request.Method,
            entry.Request.Origin,
            entry.Request.Uri.AbsolutePath,
            entry.BodyLength,
            entry.LastError);
        Publish(
            EntryEventKind.Queued, entry.Queue, entry.Id, happened => happened with { Request = entry.Request, Reason = entry.LastError });
    }

    public void NotWrittenAhead(string queue, RequestSnapshot request, string reason)
    {
        LogNotHeld(queue, request.Method, request.Origin, request.Uri.AbsolutePath, reason);
        Publish(EntryEventKind.NotWrittenAhead, queue, null, happened => happened with { Request = request, Reason = reason });
    }

    public void NotDropped(string queue, Exception failure) => LogNotDropped(failure, queue, failure.Message);

    public void NotQueued(string queue, RequestSnapshot request, string reason)
    {
        metrics.Dropped(queue);
        LogNotQueued(queue, request.Method, request.Origin, request.Uri.AbsolutePath, reason);
        Publish(EntryEventKind.NotQueued, queue, null, happened => happened with { Request = request, Reason = reason });
    }

    public void Sending(QueuedEntry entry)
    {
        LogSending(entry.Queue, entry.Id, entry.Attempts + 1);
        Publish(EntryEventKind.Sending, entry);
    }

    public void Delivered(QueuedEntry entry, int status, TimeSpan took)
    {
        metrics.Replayed(entry, "delivered", status, took);
        LogDelivered(entry.Queue, entry.Id, status);
        Publish(EntryEventKind.Delivered, entry, happened => happened with { StatusCode = status });
    }

    public void WillRetry(QueuedEntry entry, Settlement.Retry retry, int? status, TimeSpan took)
    {
        metrics.Replayed(entry, "retry", status, took);
        var isEndless = retry.Delay == TimeSpan.MaxValue;
        if (isEndless)
        {
            LogWaitsForTrigger(entry.Queue, entry.Id, retry.Error);
        }
        else
        {
            LogWillRetry(entry.Queue, entry.Id, retry.Delay, retry.Error);
        }

        if (retry.LeavesLane)
        {
            LogLeavesLane(entry.Queue, entry.Id, entry.Attempts + 1);
        }

        Publish(EntryEventKind.WillRetry, entry, happened => happened with
        {
            StatusCode = status,
            Reason = retry.LeavesLane ? $"{retry.Error} Its lane goes on without it." : retry.Error,
            NextAttemptAt = isEndless ? DateTimeOffset.MaxValue : happened.At + retry.Delay,
        });
    }

    public void Died(QueuedEntry entry, Settlement.DeadLettered death, IReadOnlyList<FailedAttempt> history, TimeSpan took)
    {
        metrics.Replayed(entry, "dead", death.StatusCode, took);
        Dead(entry.Queue, entry.Id, entry, death, history);
    }

    public void Dead(
        string queue, long id, QueuedEntry? entry, Settlement.DeadLettered death, IReadOnlyList<FailedAttempt> history) => Dead(
        new DeadLetter
        {
            Id = id,
            Queue = queue,
            Entry = entry,
            Cause = death.Cause,
            Error = death.Error,
            StatusCode = death.StatusCode,
            Response = death.Response,
            History = history,
            DeadLetteredAt = timeProvider.GetUtcNow(),
        },
        death.IsKept);

    public void Dead(DeadLetter letter, bool isKept = true)
    {
        metrics.Died(letter.Queue, letter.Cause);
        if (isKept)
        {
            LogDead(letter.Queue, letter.Id, letter.Cause, letter.StatusCode, letter.Error);
        }
        else
        {
            LogDiscarded(letter.Queue, letter.Id, letter.Cause, letter.Error);
        }

        Publish(EntryEventKind.DeadLettered, letter.Queue, letter.Id, happened => happened with
        {
            Request = letter.Entry?.Request,
            StatusCode = letter.StatusCode,
            Reason = letter.Error,
            DeadLetter = letter,
        });
    }

    public void LeaseLost(string queue, long id)
    {
        LogLeaseLost(queue, id);
        Publish(EntryEventKind.LeaseLost, queue, id);
    }

    public void Released(QueuedEntry entry)
    {
        LogGivenBack(entry.Queue, entry.Id);
        Publish(EntryEventKind.Released, entry);
    }

    public void Paused(string queue, QueuePause pause)
    {
        LogPaused(queue, pause.Cause, pause.Reason);
        Publish(EntryEventKind.Paused, queue, null, happened => happened with { Reason = pause.Reason });
    }

    public void Resumed(string queue)
    {
        LogResumed(queue);
        Publish(EntryEventKind.Resumed, queue, null);
    }

    public void Requeued(string queue, long id)
    {
        LogRequeued(queue, id);
        Publish(EntryEventKind.Requeued, queue, id);
    }

    public void Taken(string queue, long id)
    {
        metrics.Removed(queue, 1);
        LogTaken(queue, id);
        Publish(EntryEventKind.Taken, queue, id);
    }

    public void Removed(string queue, long id)
    {
        metrics.Removed(queue, 1);
        LogRemoved(queue, id);
        Publish(EntryEventKind.Removed, queue, id);
    }

    public void Cleared(string queue, long entries)
    {
        metrics.Removed(queue, entries);
        LogCleared(queue, entries);
        Publish(EntryEventKind.Cleared, queue, id: null);
    }

    public void Edited(string queue, long id)
    {
        LogEdited(queue, id);
        Publish(EntryEventKind.Edited, queue, id);
    }

    public void Superseded(string queue, long id, NewEntry entry)
    {
        metrics.Coalesced(queue, "replaced");
        LogSuperseded(
            queue, id, entry.Request.Method, entry.Request.Origin, entry.Request.Uri.AbsolutePath, entry.Body.Length,
            entry.LastError ?? "by hand");
        Publish(EntryEventKind.Superseded, queue, id, happened => happened with { Request = entry.Request, Reason = entry.LastError });
    }

    public void KeptFirst(string queue, long id, RequestSnapshot request)
    {
        metrics.Coalesced(queue, "kept");
        LogKeptFirst(queue, id, request.Method, request.Origin, request.Uri.AbsolutePath);
        Publish(EntryEventKind.KeptFirst, queue, id, happened => happened with { Request = request });
    }

    public void CancelledOut(QueuedEntry entry)
    {
        metrics.Coalesced(entry.Queue, "cancelled");
        LogCancelledOut(entry.Queue, entry.Id);
        Publish(EntryEventKind.CancelledOut, entry.Queue, entry.Id, happened => happened with { Request = entry.Request });
    }

    public void Deleted(string queue, long id, string? reason = null)
    {
        LogDeleted(queue, id, reason ?? "by hand");
        Publish(EntryEventKind.Deleted, queue, id, happened => happened with { Reason = reason });
    }

    private void Publish(EntryEventKind kind, QueuedEntry entry, Func<EntryEvent, EntryEvent>? more = null) => Publish(
        kind, entry.Queue, entry.Id, happened =>
        {
            happened = happened with { Request = entry.Request, Attempt = entry.Attempts + 1 };
            return more is null ? happened : more(happened);
        });

    private void Publish(EntryEventKind kind, string queue, long? id, Func<EntryEvent, EntryEvent>? more = null)
    {
        observers.EnsureStarted();
        var happened = new EntryEvent { Kind = kind, Queue = queue, EntryId = id, At = timeProvider.GetUtcNow() };
        feed.Publish(more is null ? happened : more(happened));
        waiters.Tell(happened);
    }
}

using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Events;

/// <summary>
/// The one place that makes log, metric, event and waiter of what happens to an entry. Neither log nor metric bears bodies, queries or
/// header values.
/// </summary>
/// <remarks>A logger, a listener of metrics or an observer that throws changes nothing: no method of this type throws.</remarks>
internal sealed partial class EntryEvents(
    ILogger<EntryEvents> logger,
    BackgroundSyncMetrics metrics,
    EntryEventFeed feed,
    EntryObservers observers,
    EntryWaiters waiters,
    TimeProvider timeProvider)
{
    private readonly SafeLogger _logger = new(logger);

    /// <summary>A request was added to the queue.</summary>
    public void Queued(string queue, long id, NewEntry entry) => Queued(queue, id, entry.Request, entry.Body.Length, entry.LastError);

    /// <summary>A request entered the queue that a process was sending when it died.</summary>
    public void Queued(QueuedEntry entry) => Queued(entry.Queue, entry.Id, entry.Request, entry.BodyLength, entry.LastError);

    /// <summary>A request is sent although it could not be written down before.</summary>
    public void NotWrittenAhead(string queue, RequestSnapshot request, string reason)
    {
        LogNotWrittenAhead(queue, request.Method, request.Origin, request.Uri.AbsolutePath, reason);
        Publish(EntryEventKind.NotWrittenAhead, queue, id: null, request, reason);
    }

    /// <summary>A request that needs no queue is still written down.</summary>
    public void WriteAheadNotDiscarded(string queue, Exception failure) =>
        LogWriteAheadNotDiscarded(failure, queue, FailureText.Of(failure));

    /// <summary>A request failed, and is in no queue.</summary>
    public void NotQueued(string queue, RequestSnapshot request, string reason)
    {
        metrics.Dropped(queue);
        LogNotQueued(queue, request.Method, request.Origin, request.Uri.AbsolutePath, reason);
        Publish(EntryEventKind.NotQueued, queue, id: null, request, reason);
    }

    /// <summary>An attempt begins.</summary>
    public void Sending(QueuedEntry entry)
    {
        LogSending(entry.Queue, entry.Id, entry.Attempts + 1);
        PublishAttempt(EntryEventKind.Sending, entry);
    }

    /// <summary>A leased entry was settled, and the store has written it down.</summary>
    /// <param name="entry">The entry, as it was leased.</param>
    /// <param name="settlement">The settlement.</param>
    /// <param name="took">How long the attempt took; it is not measured where none was made (<see cref="Settlement.Released"/>).</param>
    /// <param name="history">The failed attempts at the entry, for a dead letter; empty for all else.</param>
    public void Settled(QueuedEntry entry, Settlement settlement, TimeSpan took, IReadOnlyList<FailedAttempt> history)
    {
        switch (settlement)
        {
            case Settlement.Delivered delivered:
                metrics.Replayed(entry, "delivered", delivered.StatusCode, took);
                LogDelivered(entry.Queue, entry.Id, delivered.StatusCode);
                PublishAttempt(EntryEventKind.Delivered, entry, delivered.StatusCode);
                break;
            case Settlement.Retry retry:
                metrics.Replayed(entry, "retry", retry.StatusCode, took);
                WillRetry(entry, retry);
                break;
            case Settlement.DeadLettered deadLettered:
                metrics.Replayed(entry, "dead_lettered", deadLettered.StatusCode, took);
                DeadLettered(entry.Queue, entry.Id, deadLettered, history, entry);
                break;
            case Settlement.Released:
                LogReleased(entry.Queue, entry.Id);
                PublishAttempt(EntryEventKind.Released, entry);
                break;
            case Settlement.Held held:
                metrics.Replayed(entry, "held", held.StatusCode, took);
                LogHeld(entry.Queue, entry.Id, entry.Request.Origin, held.Error);
                PublishAttempt(EntryEventKind.Held, entry, held.StatusCode, held.Error);
                break;
        }
    }

    /// <summary>A leased entry became a dead letter, also one that cannot be read, so that no attempt could be made.</summary>
    /// <param name="queue">The queue's name.</param>
    /// <param name="id">The entry's id.</param>
    /// <param name="settlement">The reason.</param>
    /// <param name="history">The failed attempts at the entry.</param>
    /// <param name="entry">The part of it that can be read, if there is one.</param>
    public void DeadLettered(
        string queue,
        long id,
        Settlement.DeadLettered settlement,
        IReadOnlyList<FailedAttempt> history,
        QueuedEntry? entry)
    {
        var letter = new DeadLetter
        {
            Id = id,
            Queue = queue,
            Entry = entry,
            Cause = settlement.Cause,
            Error = settlement.Error,
            StatusCode = settlement.StatusCode,
            Response = settlement.Response,
            History = history,
            DeadLetteredAt = timeProvider.GetUtcNow(),
        };
        DeadLettered(letter, settlement.IsKept);
    }

    /// <summary>An entry became a dead letter, which is kept or discarded at once.</summary>
    public void DeadLettered(DeadLetter letter, bool isKept = true)
    {
        metrics.DeadLettered(letter.Queue, letter.Cause);
        if (isKept)
        {
            LogDeadLettered(letter.Queue, letter.Id, letter.Cause, letter.StatusCode, letter.Error);
        }
        else
        {
            LogDiscarded(letter.Queue, letter.Id, letter.Cause, letter.Error);
        }

        Publish(EntryEventKind.DeadLettered, letter.Queue, letter.Id, letter.Entry?.Request, letter.Error, letter.StatusCode, letter: letter);
    }

    /// <summary>Another owner holds the entry now.</summary>
    public void LeaseLost(string queue, long id)
    {
        LogLeaseLost(queue, id);
        Publish(EntryEventKind.LeaseLost, queue, id);
    }

    /// <summary>The queue sends nothing from now on.</summary>
    public void Paused(string queue, QueuePause pause)
    {
        LogPaused(queue, pause.Cause, pause.Reason);
        Publish(EntryEventKind.Paused, queue, id: null, reason: pause.Reason);
    }

    /// <summary>The queue sends again.</summary>
    public void Resumed(string queue)
    {
        LogResumed(queue);
        Publish(EntryEventKind.Resumed, queue, id: null);
    }

    /// <summary>A dead letter was queued again.</summary>
    public void Requeued(string queue, long id)
    {
        LogRequeued(queue, id);
        Publish(EntryEventKind.Requeued, queue, id);
    }

    /// <summary>The application took an entry out of its queue.</summary>
    public void Taken(string queue, long id)
    {
        metrics.Removed(queue, 1);
        LogTaken(queue, id);
        Publish(EntryEventKind.Taken, queue, id);
    }

    /// <summary>The application removed an entry.</summary>
    public void Removed(string queue, long id)
    {
        metrics.Removed(queue, 1);
        LogRemoved(queue, id);
        Publish(EntryEventKind.Removed, queue, id);
    }

    /// <summary>A new entry was removed, because its caller has cancelled.</summary>
    public void TakenBack(string queue, long id)
    {
        metrics.Removed(queue, 1);
        LogTakenBack(queue, id);
        Publish(EntryEventKind.Removed, queue, id, reason: "Its caller cancelled while it was written.");
    }

    /// <summary>An entry is queued although its caller was told that it is not: the store wrote it too late.</summary>
    public void QueuedLate(string queue, long id) => LogQueuedLate(queue, id);

    /// <summary>A function of the application threw.</summary>
    /// <param name="queue">The queue's name.</param>
    /// <param name="callback">The option that the function was given to.</param>
    /// <param name="consequence">How it goes on without the function.</param>
    /// <param name="failure">The failure.</param>
    public void CallbackFailed(string queue, string callback, string consequence, Exception failure) =>
        LogCallbackFailed(failure, queue, callback, consequence, FailureText.Of(failure));

    /// <summary>A request was queued without a look at others of its coalescing key, which took too long.</summary>
    public void CoalescingSkipped(string queue, TimeSpan limit) => LogCoalescingSkipped(queue, limit);

    /// <summary>The application removed all entries.</summary>
    public void Cleared(string queue, long entries)
    {
        metrics.Removed(queue, entries);
        LogCleared(queue, entries);
        Publish(EntryEventKind.Cleared, queue, id: null);
        waiters.SignalAll(queue);
    }

    /// <summary>The application edited an entry, which may have got a new idempotency key with it.</summary>
    public void Edited(string queue, long id, bool hasNewKey)
    {
        LogEdited(queue, id);
        if (hasNewKey)
        {
            LogNewKey(queue, id);
        }

        var reason = hasNewKey ? "It has a new idempotency key: the server may know the old one, with another request." : null;
        Publish(EntryEventKind.Edited, queue, id, reason: reason);
    }

    /// <summary>A newer request took the place of an entry.</summary>
    public void Superseded(string queue, long id, NewEntry entry)
    {
        metrics.Coalesced(queue, "replaced");
        LogSuperseded(
            queue, id, entry.Request.Method, entry.Request.Origin, entry.Request.Uri.AbsolutePath, entry.Body.Length,
            entry.LastError ?? "by hand");
        Publish(EntryEventKind.Superseded, queue, id, entry.Request, entry.LastError);
    }

    /// <summary>A newer request was dropped, because an entry stands for it.</summary>
    public void KeptFirst(string queue, long id, RequestSnapshot request)
    {
        metrics.Coalesced(queue, "kept");
        LogKeptFirst(queue, id, request.Method, request.Origin, request.Uri.AbsolutePath);
        Publish(EntryEventKind.KeptFirst, queue, id, request);
    }

    /// <summary>An entry and a newer request cancelled out.</summary>
    public void CancelledOut(QueuedEntry entry)
    {
        metrics.Coalesced(entry.Queue, "cancelled");
        LogCancelledOut(entry.Queue, entry.Id);
        Publish(EntryEventKind.CancelledOut, entry.Queue, entry.Id, entry.Request);
    }

    /// <summary>A dead letter was deleted.</summary>
    public void Deleted(string queue, long id, string? reason = null)
    {
        LogDeleted(queue, id, reason ?? "by hand");
        Publish(EntryEventKind.Deleted, queue, id, reason: reason);
    }

    private void Queued(string queue, long id, RequestSnapshot request, long bodyLength, string? error)
    {
        metrics.Queued(queue);
        LogQueued(queue, id, request.Method, request.Origin, request.Uri.AbsolutePath, bodyLength, error ?? "by hand");
        Publish(EntryEventKind.Queued, queue, id, request, error);
    }

    private void WillRetry(QueuedEntry entry, Settlement.Retry retry)
    {
        var isTriggerOnly = retry.Delay == TimeSpan.MaxValue;
        if (isTriggerOnly)
        {
            LogWaitsForTrigger(entry.Queue, entry.Id, retry.Error);
        }
        else
        {
            LogWillRetry(entry.Queue, entry.Id, retry.Delay, retry.Error);
        }

        var reason = retry.Error;
        if (retry.LeavesLane)
        {
            LogLeavesLane(entry.Queue, entry.Id, entry.Attempts + 1);
            reason += " Its lane goes on without it.";
        }

        var nextAttemptAt = isTriggerOnly ? DateTimeOffset.MaxValue : timeProvider.GetUtcNow() + retry.Delay;
        PublishAttempt(EntryEventKind.WillRetry, entry, retry.StatusCode, reason, nextAttemptAt);
    }

    private void PublishAttempt(
        EntryEventKind kind, QueuedEntry entry, int? status = null, string? reason = null, DateTimeOffset? nextAttemptAt = null) =>
        Publish(kind, entry.Queue, entry.Id, entry.Request, reason, status, entry.Attempts + 1, nextAttemptAt);

    /// <summary>Makes the event, where anybody listens, and has those look who wait for an entry that has ended.</summary>
    private void Publish(
        EntryEventKind kind,
        string queue,
        long? id,
        RequestSnapshot? request = null,
        string? reason = null,
        int? status = null,
        int? attempt = null,
        DateTimeOffset? nextAttemptAt = null,
        DeadLetter? letter = null)
    {
        observers.EnsureStarted();
        if (feed.HasListeners)
        {
            feed.Publish(new()
            {
                Kind = kind,
                Queue = queue,
                EntryId = id,
                At = timeProvider.GetUtcNow(),
                Request = request,
                Attempt = attempt,
                StatusCode = status,
                Reason = reason,
                NextAttemptAt = nextAttemptAt,
                DeadLetter = letter,
            });
        }

        if (kind is EntryEventKind.Delivered or EntryEventKind.DeadLettered or EntryEventKind.Taken or EntryEventKind.Removed
            or EntryEventKind.CancelledOut)
        {
            waiters.Signal(id!.Value);
        }
    }
}

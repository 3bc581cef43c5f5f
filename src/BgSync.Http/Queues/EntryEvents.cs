using BgSync.Http.Diagnostics;
using BgSync.Http.Requests;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Queues;

/// <summary>
/// Every event in an entry's life: a log message with a stable id and a metric. Neither bears bodies, queries or header values.
/// </summary>
internal sealed partial class EntryEvents(ILogger<EntryEvents> logger, BackgroundSyncMetrics metrics)
{
    public void Queued(string queue, long id, NewEntry entry)
    {
        metrics.Queued(queue);
        LogQueued(queue, id, entry.Request.Method, entry.Request.Origin, entry.Request.Uri.AbsolutePath, entry.Body.Length, entry.LastError ?? "by hand");
    }

    public void NotQueued(string queue, RequestSnapshot request, string reason)
    {
        metrics.Dropped(queue);
        LogNotQueued(queue, request.Method, request.Origin, request.Uri.AbsolutePath, reason);
    }

    public void Sending(StoredEntry entry) => LogSending(entry.Queue, entry.Id, entry.Attempts + 1);

    public void Delivered(StoredEntry entry, int status, TimeSpan took)
    {
        metrics.Replayed(entry, "delivered", status, took);
        LogDelivered(entry.Queue, entry.Id, status);
    }

    public void WillRetry(StoredEntry entry, TimeSpan delay, string? error, int? status, TimeSpan took)
    {
        metrics.Replayed(entry, "retry", status, took);
        LogWillRetry(entry.Queue, entry.Id, delay, error);
    }

    public void Died(StoredEntry entry, DeathCertificate death, TimeSpan took)
    {
        metrics.Replayed(entry, "dead", death.StatusCode, took);
        Dead(entry.Queue, entry.Id, death);
    }

    public void Dead(string queue, long id, DeathCertificate death)
    {
        metrics.Died(queue, death.Reason);
        LogDead(queue, id, death.Reason, death.StatusCode, death.Error);
    }

    public void LeaseLost(string queue, long id) => LogLeaseLost(queue, id);

    public void Paused(string queue, QueuePause pause) => LogPaused(queue, pause.Cause, pause.Reason);

    public void Resumed(string queue) => LogResumed(queue);

    public void Requeued(string queue, long id) => LogRequeued(queue, id);

    public void Taken(string queue, long id)
    {
        metrics.Removed(queue, 1);
        LogTaken(queue, id);
    }

    public void Removed(string queue, long id)
    {
        metrics.Removed(queue, 1);
        LogRemoved(queue, id);
    }

    public void Cleared(string queue, long entries)
    {
        metrics.Removed(queue, entries);
        LogCleared(queue, entries);
    }

    public void Edited(string queue, long id) => LogEdited(queue, id);

    public void Deleted(string queue, long id) => LogDeleted(queue, id);
}

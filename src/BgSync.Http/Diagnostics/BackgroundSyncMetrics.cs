using System.Diagnostics.Metrics;

namespace BgSync.Http.Diagnostics;

/// <summary>The instruments of the meter <c>BgSync.Http</c>. No tag bears a path, a query or a header value.</summary>
internal sealed class BackgroundSyncMetrics
{
    public const string MeterName = "BgSync.Http";

    private readonly Counter<long> _enqueued;
    private readonly Counter<long> _dropped;
    private readonly Counter<long> _dead;
    private readonly Counter<long> _removed;
    private readonly Counter<long> _coalesced;
    private readonly Counter<long> _missed;
    private readonly Histogram<double> _duration;

    public BackgroundSyncMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _enqueued = meter.CreateCounter<long>("bgsync.request.enqueued", "{request}", "Requests that were queued.");
        _dropped = meter.CreateCounter<long>("bgsync.request.dropped", "{request}", "Requests that failed and could not be queued.");
        _dead = meter.CreateCounter<long>("bgsync.request.dead", "{request}", "Entries that became dead letters.");
        _removed = meter.CreateCounter<long>("bgsync.request.removed", "{request}", "Entries that were taken or removed by hand.");
        _coalesced = meter.CreateCounter<long>("bgsync.request.coalesced", "{request}", "Requests that were made one with a queued one.");
        _missed = meter.CreateCounter<long>("bgsync.event.missed", "{event}", "Events that an observer was too slow for.");
        _duration = meter.CreateHistogram<double>("bgsync.replay.duration", "s", "How long a replay of one entry took.");
    }

    public void Queued(string queue) => _enqueued.Add(1, Tag(queue));

    public void Dropped(string queue) => _dropped.Add(1, Tag(queue));

    public void Died(string queue, DeadLetterCause cause) =>
        _dead.Add(1, Tag(queue), new("bgsync.dead.reason", cause.ToString().ToLowerInvariant()));

    public void Removed(string queue, long entries) => _removed.Add(entries, Tag(queue));

    public void Coalesced(string queue, string how) => _coalesced.Add(1, Tag(queue), new("bgsync.coalescing", how));

    public void Missed(string observer, long count) =>
        _missed.Add(count, new KeyValuePair<string, object?>("bgsync.observer.name", observer));

    public void Replayed(QueuedEntry entry, string outcome, int? status, TimeSpan took)
    {
        if (_duration.Enabled)
        {
            _duration.Record(
                took.TotalSeconds,
                Tag(entry.Queue),
                new("bgsync.replay.outcome", outcome),
                new("http.request.method", entry.Request.Method.Method),
                new("http.response.status_code", status),
                new("server.address", entry.Request.Uri.Host));
        }
    }

    private static KeyValuePair<string, object?> Tag(string queue) => new("bgsync.queue.name", queue);
}

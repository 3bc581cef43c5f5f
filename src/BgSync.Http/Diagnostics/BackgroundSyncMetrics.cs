using System.Diagnostics.Metrics;

namespace BgSync.Http.Diagnostics;

/// <summary>The instruments of the meter <c>BgSync.Http</c>. No tag bears a path, a query or a header value.</summary>
internal sealed class BackgroundSyncMetrics
{
    public const string MeterName = "BgSync.Http";

    private readonly Counter<long> _enqueued;
    private readonly Counter<long> _dropped;
    private readonly Counter<long> _deadLettered;
    private readonly Counter<long> _removed;
    private readonly Counter<long> _coalesced;
    private readonly Counter<long> _missed;
    private readonly Histogram<double> _duration;

    public BackgroundSyncMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _enqueued = meter.CreateCounter<long>("bgsync.request.enqueued", "{request}", "Requests that were queued.");
        _dropped = meter.CreateCounter<long>("bgsync.request.dropped", "{request}", "Requests that failed and could not be queued.");
        _deadLettered = meter.CreateCounter<long>("bgsync.request.dead_lettered", "{request}", "Entries that became dead letters.");
        _removed = meter.CreateCounter<long>("bgsync.request.removed", "{request}", "Entries that were taken or removed by hand.");
        _coalesced = meter.CreateCounter<long>("bgsync.request.coalesced", "{request}", "Requests that were made one with a queued one.");
        _missed = meter.CreateCounter<long>("bgsync.event.missed", "{event}", "Events that an observer was too slow for.");
        _duration = meter.CreateHistogram<double>("bgsync.replay.duration", "s", "How long a replay of one entry took.");
    }

    public void Queued(string queue) => Add(_enqueued, 1, Tag(queue));

    public void Dropped(string queue) => Add(_dropped, 1, Tag(queue));

    public void DeadLettered(string queue, DeadLetterCause cause) =>
        Add(_deadLettered, 1, Tag(queue), Tag("bgsync.dead_letter.cause", cause.ToString().ToLowerInvariant()));

    public void Removed(string queue, long entries) => Add(_removed, entries, Tag(queue));

    public void Coalesced(string queue, string how) => Add(_coalesced, 1, Tag(queue), Tag("bgsync.coalescing", how));

    public void Missed(string observer, long count) => Add(_missed, count, Tag("bgsync.observer.name", observer));

    public void Replayed(QueuedEntry entry, string outcome, int? status, TimeSpan took)
    {
        if (!_duration.Enabled)
        {
            return;
        }

        try
        {
            _duration.Record(
                took.TotalSeconds,
                Tag(entry.Queue),
                new("bgsync.replay.outcome", outcome),
                new("http.request.method", entry.Request.Method.Method),
                new("http.response.status_code", status),
                new("server.address", entry.Request.Uri.Host));
        }
        catch (Exception)
        {
            // A listener of the application with a defect breaks neither a request nor the replay.
        }
    }

    private static void Add(Counter<long> counter, long count, params ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (!counter.Enabled)
        {
            return;
        }

        try
        {
            counter.Add(count, tags);
        }
        catch (Exception)
        {
            // A listener of the application with a defect breaks neither a request nor the replay.
        }
    }

    private static KeyValuePair<string, object?> Tag(string queue) => Tag("bgsync.queue.name", queue);

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);
}

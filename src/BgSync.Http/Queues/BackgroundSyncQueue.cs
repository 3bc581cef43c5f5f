using System.Runtime.CompilerServices;
using BgSync.Http.Outcomes;
using BgSync.Http.Requests;
using BgSync.Http.Storage;

namespace BgSync.Http.Queues;

/// <summary>A named queue: what the handler puts in, and what the application may see and do.</summary>
internal sealed class BackgroundSyncQueue(
    string name,
    BackgroundSyncOptions options,
    IQueueStore store,
    IQueueReplayer replayer,
    EntryEvents events,
    TimeProvider timeProvider) : IBackgroundSyncQueue
{
    public string Name => name;

    public BackgroundSyncOptions Options => options;

    /// <summary>Writes a request that failed to stable storage. The caller's cancel no longer counts.</summary>
    /// <exception cref="QueueStoreException">The store could not take it.</exception>
    /// <exception cref="BodyNotRepeatableException">The body could not be read once more.</exception>
    /// <exception cref="OperationCanceledException">The store or the body made no progress for too long.</exception>
    public async Task<long> EnqueueAsync(WatchedRequest request, LiveFailure failure)
    {
        using var watchdog = new CancellationTokenSource(options.EnqueueTimeout, timeProvider);
        void Progress() => watchdog.CancelAfter(options.EnqueueTimeout);
        var body = new EntryBodyStream(store, options.InlineBodyLength, options.MaxBodyLength, Progress);
        await using (body.ConfigureAwait(false))
        {
            await request.Body.CopyOnceMoreAsync(body, Progress, watchdog.Token).ConfigureAwait(false);
            var entry = new NewEntry
            {
                Queue = name,
                Lane = request.Lane,
                Request = request.Snapshot,
                Body = await body.CompleteAsync(watchdog.Token).ConfigureAwait(false),
                Timestamp = request.Timestamp,
                ExpiresAt = ExpiryFrom(request.Timestamp),
                Delay = failure.RetryAfter ?? (failure.Counts ? BackoffFor(1) : TimeSpan.Zero),
                DelayAskedByServer = failure.RetryAfter is not null,
                Attempts = failure.Counts ? 1 : 0,
                LastError = FailureText.Of(failure.Exception),
                Metadata = request.Metadata,
                TraceParent = request.TraceParent,
            };
            var id = await store.AddAsync(entry, watchdog.Token).ConfigureAwait(false);
            body.Taken();
            events.Queued(name, id, entry);
            replayer.Wake();
            return id;
        }
    }

    public async IAsyncEnumerable<StoredEntry> GetAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var entry in store.ReadAsync(name, cancellationToken).ConfigureAwait(false))
        {
            var closedUntil = replayer.ClosedUntil(entry.Request.Origin);
            yield return entry.DueAt < closedUntil && !entry.IsLeased ? entry with { DueAt = closedUntil } : entry;
        }
    }

    public ValueTask<QueueCounts> CountAsync(CancellationToken cancellationToken = default) => store.CountAsync(name, cancellationToken);

    public Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken = default) =>
        replayer.ReplayAsync(deadline, cancellationToken);

    public ValueTask<QueuePause?> GetPauseAsync(CancellationToken cancellationToken = default) => store.GetPauseAsync(name, cancellationToken);

    public async ValueTask PauseAsync(string reason, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(reason);
        var pause = new QueuePause(PauseCause.Application, reason, timeProvider.GetUtcNow());
        await store.SetPauseAsync(name, pause, cancellationToken).ConfigureAwait(false);
        events.Paused(name, pause);
    }

    public async ValueTask ResumeAsync(CancellationToken cancellationToken = default)
    {
        await store.SetPauseAsync(name, null, cancellationToken).ConfigureAwait(false);
        events.Resumed(name);
        replayer.Wake();
    }

    public IAsyncEnumerable<DeadLetter> GetDeadLettersAsync(CancellationToken cancellationToken = default) =>
        store.ReadDeadLettersAsync(name, cancellationToken);

    public async ValueTask<bool> RequeueAsync(long id, CancellationToken cancellationToken = default)
    {
        var requeued = await store.RequeueAsync(name, id, ExpiryFrom(timeProvider.GetUtcNow()), cancellationToken).ConfigureAwait(false);
        if (requeued)
        {
            events.Requeued(name, id);
            replayer.Wake();
        }

        return requeued;
    }

    public async ValueTask<bool> DeleteDeadLetterAsync(long id, CancellationToken cancellationToken = default)
    {
        var deleted = await store.DeleteDeadLetterAsync(name, id, cancellationToken).ConfigureAwait(false);
        if (deleted)
        {
            events.Deleted(name, id);
        }

        return deleted;
    }

    private DateTimeOffset ExpiryFrom(DateTimeOffset start) =>
        options.MaxRetentionTime == Timeout.InfiniteTimeSpan || options.MaxRetentionTime > DateTimeOffset.MaxValue - start
            ? DateTimeOffset.MaxValue
            : start + options.MaxRetentionTime;

    private TimeSpan BackoffFor(int failures) =>
        Backoff.Wait(failures, options.MinBackoff, options.MaxBackoff, options.Randomizer());
}

using System.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Requests;
using BgSync.Http.Storage;

namespace BgSync.Http.Queues;

/// <summary>The one way from a request to an entry, for the handler and by hand.</summary>
internal sealed class EntryIntake(
    string queue, BackgroundSyncOptions options, IQueueStore store, EntryEvents events, TimeProvider timeProvider)
{
    private readonly QueueLimits? _limits = options is { MaxEntries: null, MaxBytes: null }
        ? null
        : new(options.MaxEntries, options.MaxBytes, options.WhenFull);

    /// <summary>Takes down a request as it is now, its key and lane with it, and its content as what it is.</summary>
    public WatchedRequest Capture(HttpRequestMessage request, DateTimeOffset timestamp)
    {
        var lane = request.GetBackgroundSyncLane() ?? options.Lane?.Invoke(request) ?? "";
        var hasKey = IdempotencyKey.Ensure(request, options.IdempotencyKeyHeader, options.IdempotencyKeyFormat, timeProvider);
        var expiry = ExpiryFrom(timestamp, request.GetBackgroundSyncRetention());
        var deadline = request.GetBackgroundSyncDeadline();
        return new(
            RequestCapture.Capture(request, options.SecretHeaders),
            RepeatableBody.Of(request.Content),
            lane,
            request.GetBackgroundSyncPriority(),
            timestamp,
            expiry < deadline ? expiry : deadline,
            request.GetBackgroundSyncNotBefore(),
            hasKey || IdempotencyKey.IsIdempotent(request.Method),
            request.GetBackgroundSyncMetadata(),
            Activity.Current?.Id);
    }

    /// <summary>Writes a request to stable storage.</summary>
    /// <param name="request">The request.</param>
    /// <param name="end">Where it goes.</param>
    /// <param name="failure">The failure that brought it here; <see langword="null"/> when it was never sent.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QueueStoreException">The store could not take it, or the queue is full.</exception>
    /// <exception cref="BodyNotRepeatableException">The body could not be read.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public Task<long> AddAsync(WatchedRequest request, QueueEnd end, LiveFailure? failure, CancellationToken cancellationToken) =>
        StoreBodyAsync(
            request.Body,
            async (body, token) =>
            {
                var attempts = failure is { Counts: true } ? 1 : 0;
                var wait = failure?.RetryAfter ?? (attempts > 0 ? options.WaitAfter(attempts) : TimeSpan.Zero);
                var hold = request.NotBefore - timeProvider.GetUtcNow();
                // A wait without end is over when the time comes that the caller asked for.
                wait = wait == TimeSpan.MaxValue && hold > TimeSpan.Zero ? TimeSpan.Zero : wait;
                var entry = new NewEntry
                {
                    Queue = queue,
                    Lane = request.Lane,
                    End = end,
                    Priority = request.Priority,
                    Limits = _limits,
                    Request = request.Snapshot,
                    Body = await body.CompleteAsync(token).ConfigureAwait(false),
                    Timestamp = request.Timestamp,
                    ExpiresAt = request.ExpiresAt,
                    Delay = wait > hold ? wait : hold,
                    DelayAskedByServer = failure?.RetryAfter is not null || hold > TimeSpan.Zero,
                    Attempts = attempts,
                    LastError = failure is null ? null : FailureText.Of(failure.Exception),
                    LastStatusCode = failure?.StatusCode,
                    Metadata = request.Metadata,
                    TraceParent = request.TraceParent,
                };
                var added = await store.AddAsync(entry, token).ConfigureAwait(false);
                body.Taken();
                foreach (var letter in added.Dropped)
                {
                    events.Dead(letter);
                }

                events.Queued(queue, added.Id, entry);
                return added.Id;
            },
            cancellationToken);

    /// <summary>Writes an entry anew, with new content or, when there is none, without a body.</summary>
    /// <exception cref="BodyNotRepeatableException">The body could not be read.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public Task<EntryChange> ReplaceAsync(StoredEntry edited, HttpContent? content, CancellationToken cancellationToken) =>
        StoreBodyAsync(
            RepeatableBody.Of(content),
            async (body, token) =>
            {
                var replacement = await body.CompleteAsync(token).ConfigureAwait(false);
                var change = await store.ReplaceAsync(edited, replacement, TimeSpan.Zero, token).ConfigureAwait(false);
                if (change == EntryChange.Done)
                {
                    body.Taken();
                }

                return change;
            },
            cancellationToken);

    /// <summary>When an entry expires whose age counts from a time.</summary>
    /// <param name="start">The time.</param>
    /// <param name="retention">The entry's own; <see langword="null"/> for the queue's.</param>
    public DateTimeOffset ExpiryFrom(DateTimeOffset start, TimeSpan? retention = null)
    {
        var time = retention ?? options.MaxRetentionTime;
        return time == Timeout.InfiniteTimeSpan || time > DateTimeOffset.MaxValue - start ? DateTimeOffset.MaxValue : start + time;
    }

    private async Task<T> StoreBodyAsync<T>(
        RepeatableBody source, Func<EntryBodyStream, CancellationToken, Task<T>> storeEntry, CancellationToken cancellationToken)
    {
        using var watchdog = new CancellationTokenSource(options.EnqueueTimeout, timeProvider);
        using var giveUp = cancellationToken.UnsafeRegister(static watchdog => ((CancellationTokenSource)watchdog!).Cancel(), watchdog);
        void Progress()
        {
            if (!cancellationToken.IsCancellationRequested)
            {
                watchdog.CancelAfter(options.EnqueueTimeout);
            }
        }

        var body = new EntryBodyStream(store, options.InlineBodyLength, options.MaxBodyLength, Progress);
        await using (body.ConfigureAwait(false))
        {
            await source.CopyOnceMoreAsync(body, Progress, watchdog.Token).ConfigureAwait(false);
            return await storeEntry(body, watchdog.Token).ConfigureAwait(false);
        }
    }
}

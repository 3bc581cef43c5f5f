using System.Diagnostics;
using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>The one way from a request to an entry, for the handler and by hand.</summary>
internal sealed class EntryIntake(
    string queue, BackgroundSyncOptions options, IQueueStore store, EntryEvents events, TimeProvider timeProvider)
{
    private readonly QueueLimits? _limits = options.Limits is { MaxEntries: null, MaxBytes: null }
        ? null
        : new(options.Limits.MaxEntries, options.Limits.MaxBytes, options.Limits.WhenFull);

    /// <summary>Takes down a request as it is now, its key and lane with it, and its content as what it is.</summary>
    public WatchedRequest Capture(HttpRequestMessage request, DateTimeOffset timestamp)
    {
        var lane = request.GetBackgroundSyncLane() ?? options.Lane?.Invoke(request) ?? "";
        var coalesceKey = options.GetCoalescing()?.Key(request);
        var hasKey = IdempotencyKey.Ensure(request, options.IdempotencyKeyHeader, options.IdempotencyKeyFormat, timeProvider);
        var expiry = ExpiryFrom(timestamp, request.GetBackgroundSyncRetention());
        var deadline = request.GetBackgroundSyncDeadline();
        return new(
            new RequestCapture(request, options.Capture.SecretHeaders),
            RepeatableBody.Of(request.Content),
            lane,
            request.GetBackgroundSyncPriority(),
            timestamp,
            expiry < deadline ? expiry : deadline,
            request.GetBackgroundSyncNotBefore(),
            request.GetBackgroundSyncPrerequisite(),
            hasKey || IdempotencyKey.IsIdempotent(request.Method),
            request.GetBackgroundSyncMetadata(),
            Activity.Current?.Id,
            coalesceKey);
    }

    /// <summary>Writes a request to stable storage, as an entry of its own.</summary>
    /// <param name="request">The request.</param>
    /// <param name="end">Where it goes.</param>
    /// <param name="failure">The failure that brought it here; <see langword="null"/> when it was never sent.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QueueStoreException">The store could not take it, or the queue is full.</exception>
    /// <exception cref="PrerequisiteException">It cannot wait for the entry that it names.</exception>
    /// <exception cref="BodyNotRepeatableException">The body could not be read.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public Task<EnqueueResult> AddAsync(
        WatchedRequest request, QueueEnd end, LiveFailure? failure, CancellationToken cancellationToken) =>
        StoreAsync(request, end, failure, AppendAsync, cancellationToken);

    /// <summary>Reads the body of a request, and has its entry put where it belongs.</summary>
    /// <param name="request">The request.</param>
    /// <param name="end">Where it would go.</param>
    /// <param name="failure">The failure that brought it here; <see langword="null"/> when it was never sent.</param>
    /// <param name="put">Puts it into the store, and says so to its body.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="BodyNotRepeatableException">The body could not be read.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public Task<T> StoreAsync<T>(
        WatchedRequest request,
        QueueEnd end,
        LiveFailure? failure,
        Func<NewEntry, EntryBodyStream, CancellationToken, Task<T>> put,
        CancellationToken cancellationToken) =>
        StoreBodyAsync(
            request.Body.CopyOnceMoreAsync,
            async (body, token) =>
            {
                await RequirePrerequisiteAsync(request.Prerequisite, token).ConfigureAwait(false);
                var entry = Describe(request, end, await body.CompleteAsync(token).ConfigureAwait(false), StartOf(request, failure));
                return await put(entry, body, token).ConfigureAwait(false);
            },
            cancellationToken);

    /// <summary>Adds an entry at its end of the queue.</summary>
    public async Task<EnqueueResult> AppendAsync(NewEntry entry, EntryBodyStream body, CancellationToken cancellationToken)
    {
        var added = await store.AddAsync(entry, cancellationToken).ConfigureAwait(false);
        body.Taken();
        return Tell(added, entry);
    }

    /// <summary>Writes a request to stable storage before it is sent, outside its queue.</summary>
    /// <inheritdoc cref="AddAsync"/>
    public Task<HeldRequest> BeginWriteAheadAsync(WatchedRequest request, CancellationToken cancellationToken) =>
        StoreBodyAsync(
            request.Body.CopyAheadAsync,
            async (body, token) =>
            {
                var stored = await body.CompleteAsync(token).ConfigureAwait(false);
                var entry = Describe(request, QueueEnd.Back, stored, StartOf(request, failure: null));
                var id = await store.BeginWriteAheadAsync(entry, request.IsRepeatable, token).ConfigureAwait(false);
                body.Taken();
                return new HeldRequest(id, entry);
            },
            cancellationToken);

    /// <summary>Moves a held request that failed into its queue, where it was its turn.</summary>
    /// <inheritdoc cref="AddAsync"/>
    public async Task<EnqueueResult> CommitWriteAheadAsync(HeldRequest held, WatchedRequest request, LiveFailure failure)
    {
        var start = StartOf(request, failure);
        var released = await WatchAsync(token => store.CommitWriteAheadAsync(held.Id, start, token).AsTask(), CancellationToken.None)
            .ConfigureAwait(false);
        return released is null
            // Lost with a damaged file, or taken over by a process that thought this one dead.
            ? await AddAsync(request, QueueEnd.Back, failure, CancellationToken.None).ConfigureAwait(false)
            : Tell(released, held.Entry with { Attempts = start.Attempts, LastError = start.LastError });
    }

    /// <summary>Copies a body into a spool.</summary>
    /// <returns>Its length.</returns>
    /// <exception cref="BodyNotRepeatableException">The body could not be read, or kept.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the body made no progress for too long.</exception>
    public Task<long> SpoolAsync(RepeatableBody source, BodySpool spool, CancellationToken cancellationToken) =>
        WatchAsync(
            async (progress, token) =>
            {
                var writer = new SpoolWriter(spool, progress);
                await using (writer.ConfigureAwait(false))
                {
                    await source.CopyOnceMoreAsync(writer, progress, token).ConfigureAwait(false);
                }

                return spool.Length;
            },
            cancellationToken);

    /// <summary>The body of an entry, for its request; <see langword="null"/> when that has no content.</summary>
    public StoredContent? ContentOf(QueuedEntry entry) => entry.Request.ContentHeaders is null ? null : new(
        async token => await store.OpenBodyAsync(queue, entry.Id, token).ConfigureAwait(false)
            ?? throw new InvalidDataException("The entry's body is gone."),
        entry.BodyLength);

    /// <summary>Makes sure that an entry of the queue can be waited for: it is live, or was delivered.</summary>
    /// <exception cref="PrerequisiteException">It is not.</exception>
    public async ValueTask RequirePrerequisiteAsync(long? prerequisite, CancellationToken cancellationToken)
    {
        if (prerequisite is not { } id)
        {
            return;
        }

        var receipt = await store.GetReceiptAsync(queue, id, cancellationToken).ConfigureAwait(false);
        if (receipt is null)
        {
            throw PrerequisiteException.Unknown(queue, id);
        }

        if (receipt.State == ReceiptState.DeadLettered)
        {
            throw PrerequisiteException.Dead(queue, id, receipt.Cause);
        }
    }

    /// <summary>Writes an entry anew, with new content or, when there is none, without a body.</summary>
    /// <exception cref="BodyNotRepeatableException">The body could not be read.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public Task<EntryChange> ReplaceAsync(QueuedEntry edited, HttpContent? content, CancellationToken cancellationToken) =>
        StoreBodyAsync(
            RepeatableBody.Of(content).CopyOnceMoreAsync,
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

    /// <summary>Says why a request was not stored.</summary>
    public string Explain(Exception failure) => failure switch
    {
        BodyNotRepeatableException or QueueStoreException => failure.Message,
        OperationCanceledException => $"its body or the store made no progress for {options.EnqueueTimeout} (EnqueueTimeout)",
        _ => $"its body could not be read: {failure.Message}",
    };

    /// <summary>Gives the store as long as it has for a part of a request.</summary>
    /// <exception cref="OperationCanceledException">It was given up, or the store made no progress for too long.</exception>
    public Task<T> WatchAsync<T>(Func<CancellationToken, Task<T>> run, CancellationToken cancellationToken) =>
        WatchAsync((_, token) => run(token), cancellationToken);

    private EnqueueResult Tell(AddedEntry added, NewEntry entry)
    {
        foreach (var letter in added.Dropped)
        {
            events.Dead(letter);
        }

        events.Queued(queue, added.Id, entry);
        return new(added.Id, Coalescing.Append);
    }

    private NewEntry Describe(WatchedRequest request, QueueEnd end, EntryBody body, WriteAheadCommit start) => new()
    {
        Queue = queue,
        Lane = request.Lane,
        End = end,
        Priority = request.Priority,
        Limits = start.Limits,
        Request = request.Captured.ToSnapshot(),
        Body = body,
        Timestamp = request.Timestamp,
        ExpiresAt = request.ExpiresAt,
        Delay = start.Delay,
        RequestedDelay = start.RequestedDelay,
        Attempts = start.Attempts,
        LastError = start.LastError,
        LastStatusCode = start.LastStatusCode,
        Metadata = request.Metadata,
        CoalesceKey = request.CoalesceKey,
        Prerequisite = request.Prerequisite,
        TraceParent = request.TraceParent,
    };

    /// <summary>How an entry begins after a failure, or without one.</summary>
    private WriteAheadCommit StartOf(WatchedRequest request, LiveFailure? failure)
    {
        var attempts = failure is { Counts: true } ? 1 : 0;
        var wait = failure?.RetryAfter ?? (attempts > 0 ? options.WaitAfter(attempts) : TimeSpan.Zero);
        var notBefore = request.NotBefore - timeProvider.GetUtcNow();
        // A wait without end is over when the time comes that the caller asked for.
        wait = wait == TimeSpan.MaxValue && notBefore > TimeSpan.Zero ? TimeSpan.Zero : wait;
        return new(
            wait > notBefore ? wait : notBefore,
            RequestedDelay: failure?.RetryAfter is not null || notBefore > TimeSpan.Zero,
            attempts,
            failure is null ? null : FailureText.Of(failure.Exception),
            failure?.StatusCode,
            _limits);
    }

    private Task<T> StoreBodyAsync<T>(
        Func<Stream, Action, CancellationToken, Task> copy,
        Func<EntryBodyStream, CancellationToken, Task<T>> storeEntry,
        CancellationToken cancellationToken) =>
        WatchAsync(
            async (progress, token) =>
            {
                var body = new EntryBodyStream(store, options.Capture.InlineBodyLength, options.Limits.MaxBodyLength, progress);
                await using (body.ConfigureAwait(false))
                {
                    await copy(body, progress, token).ConfigureAwait(false);
                    return await storeEntry(body, token).ConfigureAwait(false);
                }
            },
            cancellationToken);

    private async Task<T> WatchAsync<T>(Func<Action, CancellationToken, Task<T>> run, CancellationToken cancellationToken)
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

        return await run(Progress, watchdog.Token).ConfigureAwait(false);
    }
}

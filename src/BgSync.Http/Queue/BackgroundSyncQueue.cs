using System.Runtime.CompilerServices;
using BgSync.Http.Capture;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>A named queue: what the handler puts in, and what the application may see and do.</summary>
internal sealed class BackgroundSyncQueue(
    string name,
    BackgroundSyncOptions options,
    IQueueStore store,
    EntryIntake intake,
    Coalescer coalescer,
    IQueueReplayer replayer,
    EntryEvents events,
    EntryEventFeed feed,
    EntryWaiters waiters,
    TimeProvider timeProvider) : IBackgroundSyncQueue
{
    /// <summary>Entries removed at a time, so that other writes get their turn.</summary>
    private const int Batch = 100;

    private readonly EntryTaker _taker = new(name, options, store, events, timeProvider);
    private readonly EntryAwaiter _awaiter = new(name, options, store, timeProvider);
    private readonly HeldDropper _dropper = new(name, options, store, events, timeProvider);

    public string Name => name;

    public BackgroundSyncOptions Options => options;

    /// <inheritdoc cref="EntryIntake.Capture"/>
    public WatchedRequest Capture(HttpRequestMessage request, DateTimeOffset timestamp) => intake.Capture(request, timestamp);

    /// <summary>
    /// Writes a request to stable storage before it is sent. What prevents that is told, and does not keep it from being sent.
    /// </summary>
    /// <returns><see langword="null"/> when it is not held.</returns>
    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public async Task<HeldRequest?> BeginWriteAheadAsync(WatchedRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await intake.BeginWriteAheadAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            events.NotWrittenAhead(name, request.Captured.ToSnapshot(), intake.Explain(e));
            return null;
        }
    }

    /// <summary>Forgets a held request that needs no queue.</summary>
    public Task DiscardWriteAheadAsync(HeldRequest held) => _dropper.DiscardWriteAheadAsync(held);

    /// <summary>Writes a request that failed to stable storage. The caller's cancel no longer counts.</summary>
    /// <exception cref="QueueStoreException">The store could not take it, or the queue is full.</exception>
    /// <exception cref="PrerequisiteException">It cannot wait for the entry that it names.</exception>
    /// <exception cref="BodyNotRepeatableException">The body could not be read once more.</exception>
    /// <exception cref="OperationCanceledException">The store or the body made no progress for too long.</exception>
    public async Task<QueuedRequest> EnqueueAsync(WatchedRequest request, HeldRequest? held, LiveFailure failure)
    {
        var placement = await PlaceAsync(request, held, failure).ConfigureAwait(false);
        // Before the replay begins, so that its response finds who waits for it.
        var waiter = options.WhenQueued == WhenQueued.Wait && placement.How != Coalescing.CancelOut
            ? waiters.Add(name, placement.EntryId)
            : null;
        replayer.WakeForNew();
        return new(placement, failure.Exception, waiter);
    }

    /// <inheritdoc cref="EntryIntake.Explain"/>
    public string Explain(Exception failure) => intake.Explain(failure);

    /// <inheritdoc cref="EntryAwaiter.WaitAsync"/>
    public Task<HttpResponseMessage> WaitAsync(QueuedRequest queued, HttpRequestMessage request, CancellationToken cancellationToken) =>
        _awaiter.WaitAsync(queued, request, cancellationToken);

    public ValueTask<long> PushAsync(
        HttpRequestMessage request, DateTimeOffset? timestamp = null, CancellationToken cancellationToken = default) =>
        AddAsync(request, QueueEnd.Back, timestamp, cancellationToken);

    public ValueTask<long> UnshiftAsync(
        HttpRequestMessage request, DateTimeOffset? timestamp = null, CancellationToken cancellationToken = default) =>
        AddAsync(request, QueueEnd.Front, timestamp, cancellationToken);

    public ValueTask<TakenEntry?> PopAsync(CancellationToken cancellationToken = default) => TakeAsync(QueueEnd.Back, cancellationToken);

    public ValueTask<TakenEntry?> ShiftAsync(CancellationToken cancellationToken = default) => TakeAsync(QueueEnd.Front, cancellationToken);

    public async ValueTask<QueuedEntry?> FindAsync(long id, CancellationToken cancellationToken = default) =>
        await store.FindAsync(name, id, cancellationToken).ConfigureAwait(false) is { } entry ? Describe(entry) : null;

    public ValueTask<Receipt?> GetReceiptAsync(long id, CancellationToken cancellationToken = default) =>
        store.GetReceiptAsync(name, id, cancellationToken);

    public ValueTask<Stream?> OpenBodyAsync(long id, CancellationToken cancellationToken = default) =>
        store.OpenBodyAsync(name, id, cancellationToken);

    public ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(long id, CancellationToken cancellationToken = default) =>
        store.GetHistoryAsync(name, id, cancellationToken);

    public async ValueTask<bool> RemoveAsync(long id, CancellationToken cancellationToken = default)
    {
        var isRemoved = IsDone(id, await store.RemoveAsync(name, id, revision: null, cancellationToken).ConfigureAwait(false));
        if (isRemoved)
        {
            events.Removed(name, id);
            replayer.Wake();
        }

        return isRemoved;
    }

    public async ValueTask<bool> EditAsync(long id, Action<EntryEdit> edit, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(edit);
        EntryChange change;
        do
        {
            if (await store.FindAsync(name, id, cancellationToken).ConfigureAwait(false) is not { } entry)
            {
                return false;
            }

            change = entry.IsLeased
                ? EntryChange.InFlight
                : await ReplaceAsync(entry, edit, cancellationToken).ConfigureAwait(false);
        }
        while (change == EntryChange.Outdated);
        var isEdited = IsDone(id, change);
        if (isEdited)
        {
            events.Edited(name, id);
            replayer.Wake();
        }

        return isEdited;
    }

    public async ValueTask<long> ClearAsync(CancellationToken cancellationToken = default)
    {
        // As many as there are now: what is queued meanwhile is not waited for.
        var left = (await store.CountAsync(name, cancellationToken).ConfigureAwait(false)).Pending;
        var removed = 0L;
        int batch;
        do
        {
            batch = await store.ClearAsync(name, (int)Math.Min(Batch, left - removed), cancellationToken).ConfigureAwait(false);
            removed += batch;
        }
        while (batch > 0 && removed < left);
        if (removed > 0)
        {
            events.Cleared(name, removed);
            replayer.Wake();
        }

        return removed;
    }

    public IAsyncEnumerable<QueuedEntry> GetAllAsync(EntryFilter filter, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(filter);
        return GetAllAsync(cancellationToken).Where(entry => filter.IsMatch(entry, timeProvider.GetUtcNow()));
    }

    public async IAsyncEnumerable<QueuedEntry> GetAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var entry in store.ReadAsync(name, QueueEnd.Front, cancellationToken).ConfigureAwait(false))
        {
            yield return Describe(entry);
        }
    }

    public ValueTask<QueueCounts> CountAsync(CancellationToken cancellationToken = default) => store.CountAsync(name, cancellationToken);

    public async IAsyncEnumerable<QueueUpdate> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var mailbox = feed.Open(entryEvent => entryEvent.Queue == name);
        List<EntryEvent> happened = [];
        do
        {
            while (mailbox.TryTake(out var entryEvent))
            {
                happened.Add(entryEvent);
            }

            var missed = mailbox.TakeMissed();
            // Counted after the events were taken, so that no event is newer than its counts.
            if (await CountWhileOpenAsync(mailbox, cancellationToken).ConfigureAwait(false) is not { } counts)
            {
                yield break;
            }

            yield return new(counts, happened, missed);
            happened = [];
        }
        while (await mailbox.WaitAsync(cancellationToken).ConfigureAwait(false));
    }

    public Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken = default) =>
        replayer.ReplayAsync(deadline, cancellationToken);

    public ValueTask<QueuePause?> GetPauseAsync(CancellationToken cancellationToken = default) =>
        store.GetPauseAsync(name, cancellationToken);

    public async ValueTask PauseAsync(string reason, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(reason);
        var pause = new QueuePause(PauseCause.Application, reason, timeProvider.GetUtcNow());
        await store.SetPauseAsync(name, pause, cancellationToken).ConfigureAwait(false);
        events.Paused(name, pause);
        replayer.Wake();
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
        var requeued = await store.RequeueAsync(name, id, intake.ExpiryFrom(timeProvider.GetUtcNow()), cancellationToken)
            .ConfigureAwait(false);
        if (requeued)
        {
            events.Requeued(name, id);
            replayer.WakeForNew();
        }

        return requeued;
    }

    public async ValueTask<long> RequeueAllAsync(CancellationToken cancellationToken = default)
    {
        // As many as there are now: one that dies again meanwhile stays dead.
        var dead = (await store.CountAsync(name, cancellationToken).ConfigureAwait(false)).DeadLettered;
        var requeued = 0L;
        await foreach (var letter in GetDeadLettersAsync(cancellationToken).ConfigureAwait(false))
        {
            if (dead-- == 0)
            {
                break;
            }

            requeued += await RequeueAsync(letter.Id, cancellationToken).ConfigureAwait(false) ? 1 : 0;
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

    private async Task<EnqueueResult> PlaceAsync(WatchedRequest request, HeldRequest? held, LiveFailure failure)
    {
        if (held is not null && request.CoalesceKey is null)
        {
            return await intake.CommitWriteAheadAsync(held, request, failure).ConfigureAwait(false);
        }

        var placement = await coalescer.AddAsync(request, failure, CancellationToken.None).ConfigureAwait(false);
        if (held is not null)
        {
            // Not at one stroke: should the process end in between, the request is sent twice, with one key.
            await DiscardWriteAheadAsync(held).ConfigureAwait(false);
        }

        return placement;
    }

    private async ValueTask<long> AddAsync(
        HttpRequestMessage request, QueueEnd end, DateTimeOffset? timestamp, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        RequestAddress.Require(request);
        var captured = intake.Capture(request, timestamp ?? timeProvider.GetUtcNow());
        // Who puts a request before all others wants it there, and not in the place of one of them.
        var adding = end == QueueEnd.Back
            ? coalescer.AddAsync(captured, failure: null, cancellationToken)
            : intake.AddAsync(captured, end, failure: null, cancellationToken);
        var (id, _) = await ByHandAsync(adding, cancellationToken).ConfigureAwait(false);
        request.SetBackgroundSyncEntryId(id);
        replayer.WakeForNew();
        return id;
    }

    private async ValueTask<QueueCounts?> CountWhileOpenAsync(EntryMailbox mailbox, CancellationToken cancellationToken)
    {
        try
        {
            return await store.CountAsync(name, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception) when (mailbox.IsClosed)
        {
            return null;
        }
    }

    private async ValueTask<TakenEntry?> TakeAsync(QueueEnd end, CancellationToken cancellationToken)
    {
        var taken = await _taker.TakeAsync(end, cancellationToken).ConfigureAwait(false);
        if (taken is not null)
        {
            replayer.Wake();
        }

        return taken;
    }

    private async Task<EntryChange> ReplaceAsync(QueuedEntry entry, Action<EntryEdit> edit, CancellationToken cancellationToken)
    {
        var content = intake.ContentOf(entry);
        var editing = new EntryEdit(entry, RequestRestorer.Restore(entry.Request, content));
        edit(editing);
        RequestAddress.Require(editing.Request);
        if (editing.Prerequisite != entry.Prerequisite)
        {
            await intake.RequirePrerequisiteAsync(editing.Prerequisite, cancellationToken).ConfigureAwait(false);
        }

        var edited = entry with
        {
            Lane = editing.Lane,
            Prerequisite = editing.Prerequisite,
            Request = new RequestCapture(editing.Request, options.Capture.SecretHeaders).ToSnapshot(),
        };
        return editing.Request.Content == content
            ? await store.ReplaceAsync(edited, body: null, TimeSpan.Zero, cancellationToken).ConfigureAwait(false)
            : await ByHandAsync(intake.ReplaceAsync(edited, editing.Request.Content, cancellationToken), cancellationToken)
                .ConfigureAwait(false);
    }

    /// <summary>An entry with what only this process knows of it.</summary>
    private QueuedEntry Describe(QueuedEntry entry)
    {
        var closedUntil = replayer.ClosedUntil(entry.Request.Origin);
        return entry.DueAt < closedUntil && !entry.IsLeased ? entry with { DueAt = closedUntil } : entry;
    }

    private bool IsDone(long id, EntryChange change) => change switch
    {
        EntryChange.Done => true,
        EntryChange.InFlight => throw new EntryInFlightException(name, id),
        _ => false,
    };

    /// <summary>Tells whoever changes a queue by hand what the handler would make of the original failure.</summary>
    private async Task<T> ByHandAsync<T>(Task<T> change, CancellationToken cancellationToken)
    {
        try
        {
            return await change.ConfigureAwait(false);
        }
        catch (BodyNotRepeatableException e)
        {
            throw new InvalidOperationException($"The request was not queued, because {e.Message}.", e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The body or the store made no progress for {options.EnqueueTimeout} (EnqueueTimeout).", e);
        }
    }
}

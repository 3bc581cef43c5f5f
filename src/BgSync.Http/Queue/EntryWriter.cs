using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>Writes requests to the queue: first the body, then the entry, which may be made one with a queued one.</summary>
/// <remarks>
/// <see cref="BackgroundSyncOptions.EnqueueTimeout"/> holds also where the store takes no notice of a cancelled token. A change that it
/// makes after that is undone, because the caller was told that nothing is queued; one that cannot be undone is published.
/// </remarks>
internal sealed class EntryWriter(QueueContext context, Coalescer coalescer)
{
    private readonly IQueueStore _store = context.Store;

    /// <summary>Writes a request to stable storage.</summary>
    /// <param name="request">The request.</param>
    /// <param name="end">Where it goes. One that is put before all others is made one with none of them.</param>
    /// <param name="failure">The failure that brought it here; <see langword="null"/> when it was never sent.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QueueStoreException">The store could not take it, or the queue is full.</exception>
    /// <exception cref="PrerequisiteException">It cannot wait for the entry that it names.</exception>
    /// <exception cref="NotStorableException">
    /// The body could not be read, a part of the request cannot or must not be written down, or its lane or coalescing key cannot be told.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public async Task<EnqueueResult> EnqueueAsync(
        WatchedRequest request, QueueEnd end, LiveFailure? failure, CancellationToken cancellationToken)
    {
        request = request.ToStorable(context.Options);
        using var write = context.BeginWrite(cancellationToken);
        await context.RequirePrerequisiteAsync(request.Prerequisite, write.Token).ConfigureAwait(false);
        var isAlone = request.CoalesceKey is null || end == QueueEnd.Front;
        // A request that is dropped needs no body, which may be large.
        if (!isAlone
            && context.Options.GetCoalescing()!.Always is var always and (Coalescing.KeepFirst or Coalescing.CancelOut)
            && await coalescer.FindAsync(request, write).ConfigureAwait(false) is { } other
            && coalescer.Limit(always, other, request, failure) == always
            && await TryDropAsync(other, request, always, write).ConfigureAwait(false) is { } dropped)
        {
            return dropped;
        }

        using var spool = isAlone ? null : await coalescer.SpoolAsync(request, write).ConfigureAwait(false);
        request = spool is null ? request : request with { Body = new(spool.ToContent()) };
        // The body is stored before the turn of its key begins: the turn of a large one would be long.
        var body = context.NewBody(write);
        await using var closing = body.ConfigureAwait(false);
        var entry = await StoreBodyAsync(request, end, failure, body, write).ConfigureAwait(false);
        if (isAlone)
        {
            return await AddAsync(entry, body, write).ConfigureAwait(false);
        }

        // In this process requests of one key are put in one after another, so that the second of two finds the first.
        write.Pause();
        using var turn = await coalescer.TakeTurnAsync(request.CoalesceKey!, cancellationToken).ConfigureAwait(false);
        write.Restart();
        while (turn is not null && await coalescer.FindAsync(request, write).ConfigureAwait(false) is { } queued)
        {
            write.Pause();
            var (how, merged) = await coalescer.DecideAsync(queued, request, failure, spool, cancellationToken).ConfigureAwait(false);
            write.Restart();
            using var changed = merged?.Message;
            if (how == Coalescing.Append)
            {
                break;
            }

            try
            {
                var result = (how, merged) switch
                {
                    (Coalescing.ReplaceQueued, null) => await TryReplaceAsync(queued, entry, body).ConfigureAwait(false),
                    (Coalescing.ReplaceQueued, { } newer) => await TryReplaceAsync(queued, newer, failure, write).ConfigureAwait(false),
                    _ => await TryDropAsync(queued, request, how, write).ConfigureAwait(false),
                };
                if (result is { } found)
                {
                    return found;
                }
            }
            catch (Exception e) when (merged is not null && e is not QueueStoreException && !write.IsCancellationRequested)
            {
                // The function gave it a body that cannot be read.
                coalescer.MergeFailed(queued, e);
                break;
            }
        }

        // It has its key, so that the next request of that key finds this one and not the one before.
        return await AddAsync(entry, body, write).ConfigureAwait(false);
    }

    /// <summary>Writes an entry anew, with new content or, when there is none, without a body.</summary>
    /// <param name="edited">The entry.</param>
    /// <param name="content">The content.</param>
    /// <param name="whenLate">Publishes a change that the store made after it was given up.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NotStorableException">The body could not be read.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public async Task<EntryChange> ReplaceAsync(
        QueuedEntry edited, HttpContent? content, Action whenLate, CancellationToken cancellationToken)
    {
        using var write = context.BeginWrite(cancellationToken);
        var body = context.NewBody(write);
        await using var closing = body.ConfigureAwait(false);
        await new RepeatableBody(content).CopyOnceMoreAsync(body, write, write.Token).ConfigureAwait(false);
        var replacement = await body.CompleteAsync().ConfigureAwait(false);
        return await ReplaceAsync(edited, replacement, TimeSpan.Zero, body, whenLate).ConfigureAwait(false);
    }

    /// <summary>Takes a new entry back whose caller has cancelled.</summary>
    /// <returns><see langword="false"/> when it is being sent, was made one with another, or the store does not say so in time.</returns>
    public async Task<bool> TryTakeBackAsync(EnqueueResult added)
    {
        if (added.How != Coalescing.Append)
        {
            return false;
        }

        var takingBack = TakeBackAsync(added);
        await ((Task)takingBack).WaitAsync(context.Options.EnqueueTimeout, context.Time)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return takingBack is { IsCompletedSuccessfully: true, Result: true };
    }

    /// <summary>Waits for the store to add an entry, no longer than is allowed.</summary>
    /// <param name="adding">The change; its result is <see langword="null"/> where there was nothing to add.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="body">Its body.</param>
    /// <exception cref="OperationCanceledException">The store is late. Should it add the entry after all, it is removed again.</exception>
    public async Task<EnqueueResult?> FinishAddAsync(Task<AddedEntry?> adding, NewEntry entry, EntryBodyStream body)
    {
        var added = await body.StoreAsync(adding, static added => added is not null, added => RemoveLateAsync(added!, entry))
            .ConfigureAwait(false);
        if (added is null)
        {
            return null;
        }

        PublishAdded(added, entry);
        return new(added.Id, Coalescing.Append, entry.Request, entry.Timestamp);
    }

    private async Task<NewEntry> StoreBodyAsync(
        WatchedRequest request, QueueEnd end, LiveFailure? failure, EntryBodyStream body, Attempt write)
    {
        await request.Body.CopyOnceMoreAsync(body, write, write.Token).ConfigureAwait(false);
        return await request.ToEntryAsync(context, end, body, failure).ConfigureAwait(false);
    }

    private async Task<EnqueueResult> AddAsync(NewEntry entry, EntryBodyStream body, Attempt write)
    {
        Task<AddedEntry?> adding = _store.AddAsync(entry, write.Token).AsTask()!;
        return (await FinishAddAsync(adding, entry, body).ConfigureAwait(false))!.Value;
    }

    /// <summary>Drops a request, and the entry with it if they cancel out.</summary>
    /// <returns><see langword="null"/> when the entry has changed since it was read.</returns>
    private async Task<EnqueueResult?> TryDropAsync(QueuedEntry queued, WatchedRequest request, Coalescing how, Attempt write)
    {
        if (how == Coalescing.KeepFirst)
        {
            context.Events.KeptFirst(context.Name, queued.Id, request.Captured.ToSnapshot());
            return new(queued.Id, how);
        }

        var removing = _store.RemoveAsync(context.Name, queued.Id, queued.Revision, write.Token).AsTask();
        if (await removing.WaitAsync(write.Token).ConfigureAwait(false) != EntryChange.Done)
        {
            return null;
        }

        context.Events.CancelledOut(queued);
        return new(queued.Id, how);
    }

    private async Task<EnqueueResult?> TryReplaceAsync(QueuedEntry queued, WatchedRequest newer, LiveFailure? failure, Attempt write)
    {
        var body = context.NewBody(write);
        await using var closing = body.ConfigureAwait(false);
        var entry = await StoreBodyAsync(newer, QueueEnd.Back, failure, body, write).ConfigureAwait(false);
        return await TryReplaceAsync(queued, entry, body).ConfigureAwait(false);
    }

    /// <summary>Has a request take the place of an entry.</summary>
    /// <returns><see langword="null"/> when the entry has changed since it was read.</returns>
    private async Task<EnqueueResult?> TryReplaceAsync(QueuedEntry queued, NewEntry entry, EntryBodyStream body)
    {
        var delay = entry.RequestedDelay ? entry.Delay : TimeSpan.Zero;
        var change = await ReplaceAsync(Coalescer.Replaced(queued, entry), entry.Body, delay, body, PublishLate).ConfigureAwait(false);
        if (change != EntryChange.Done)
        {
            return null;
        }

        context.Events.Superseded(context.Name, queued.Id, entry);
        return new(queued.Id, Coalescing.ReplaceQueued);

        void PublishLate()
        {
            context.Events.Superseded(context.Name, queued.Id, entry);
            context.Events.QueuedLate(context.Name, queued.Id);
        }
    }

    private Task<EntryChange> ReplaceAsync(QueuedEntry newer, EntryBody replacement, TimeSpan delay, EntryBodyStream body, Action whenLate)
    {
        var replacing = _store.ReplaceAsync(newer, replacement, delay, body.Allowed).AsTask();
        return body.StoreAsync(replacing, static change => change == EntryChange.Done, _ =>
        {
            whenLate();
            return Task.CompletedTask;
        });
    }

    private async Task<bool> TakeBackAsync(EnqueueResult added)
    {
        var isTakenBack = await TryRemoveAsync(added).ConfigureAwait(false);
        if (isTakenBack)
        {
            context.Events.TakenBack(context.Name, added.EntryId);
        }

        return isTakenBack;
    }

    /// <summary>Removes an entry, unless it is being sent, or has changed since it was added.</summary>
    private async Task<bool> TryRemoveAsync(EnqueueResult added)
    {
        var entry = await _store.FindAsync(context.Name, added.EntryId, CancellationToken.None).ConfigureAwait(false);
        return entry is not null && added.IsUnchanged(entry)
            && await _store.RemoveAsync(context.Name, entry.Id, entry.Revision, CancellationToken.None).ConfigureAwait(false)
                == EntryChange.Done;
    }

    /// <summary>Removes an entry whose caller was told that it is not queued; where that fails, it is published. Never throws.</summary>
    private async Task RemoveLateAsync(AddedEntry added, NewEntry entry)
    {
        var removing = TryRemoveAsync(new(added.Id, Coalescing.Append, entry.Request, entry.Timestamp));
        await ((Task)removing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (removing is { IsCompletedSuccessfully: true, Result: true })
        {
            PublishDropped(added);
            return;
        }

        PublishAdded(added, entry);
        context.Events.QueuedLate(context.Name, added.Id);
    }

    private void PublishAdded(AddedEntry added, NewEntry entry)
    {
        PublishDropped(added);
        context.Events.Queued(context.Name, added.Id, entry);
    }

    private void PublishDropped(AddedEntry added)
    {
        foreach (var letter in added.Dropped)
        {
            context.Events.DeadLettered(letter);
        }
    }
}

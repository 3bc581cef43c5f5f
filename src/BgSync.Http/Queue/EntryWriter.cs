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
        request = request.WithCoalesceKey(context.Options);
        using var write = context.BeginWrite(cancellationToken);
        await context.RequirePrerequisiteAsync(request.Prerequisite, write.Token).ConfigureAwait(false);
        if (request.CoalesceKey is null || end == QueueEnd.Front)
        {
            return await AddAsync(request, end, failure, write).ConfigureAwait(false);
        }

        // A request that is dropped needs no body, which may be large.
        return await TryDropAsync(request, failure, write).ConfigureAwait(false)
            ?? await AddOrCoalesceAsync(request, failure, write, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes an entry anew, with new content or, when there is none, without a body.</summary>
    /// <exception cref="NotStorableException">The body could not be read.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the store or the body made no progress for too long.</exception>
    public async Task<EntryChange> ReplaceAsync(QueuedEntry edited, HttpContent? content, CancellationToken cancellationToken)
    {
        using var write = context.BeginWrite(cancellationToken);
        var body = new EntryBodyStream(context, write);
        await using var closing = body.ConfigureAwait(false);
        await new RepeatableBody(content).CopyOnceMoreAsync(body, write, write.Token).ConfigureAwait(false);
        var replacement = await body.CompleteAsync().ConfigureAwait(false);
        var change = await _store.ReplaceAsync(edited, replacement, TimeSpan.Zero, write.Token).ConfigureAwait(false);
        if (change == EntryChange.Done)
        {
            body.Taken();
        }

        return change;
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
        try
        {
            return await takingBack.WaitAsync(context.Options.EnqueueTimeout, context.Time).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or QueueStoreException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Waits for the store to add an entry, no longer than is allowed.</summary>
    /// <param name="adding">The change; its result is <see langword="null"/> where there was nothing to add.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="body">The body that the entry takes; <see langword="null"/> where the store has it already.</param>
    /// <param name="write">How long is allowed.</param>
    /// <exception cref="OperationCanceledException">The store is late. Should it add the entry after all, it is removed again.</exception>
    public async Task<EnqueueResult?> FinishAddAsync(
        Task<AddedEntry?> adding, NewEntry entry, EntryBodyStream? body, Attempt write)
    {
        AddedEntry? added;
        try
        {
            added = await adding.WaitAsync(write.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!adding.IsCanceled && !adding.IsFaulted)
        {
            var late = RemoveLateAsync(adding, entry);
            body?.TakenBy(late);
            throw;
        }

        if (added is null)
        {
            return null;
        }

        body?.Taken();
        PublishDropped(added);
        context.Events.Queued(context.Name, added.Id, entry);
        return new(added.Id, Coalescing.Append, entry.Request, entry.Timestamp);
    }

    /// <summary>The reason for which a request was not written.</summary>
    public string ReasonOf(Exception failure) => failure switch
    {
        NotStorableException or QueueStoreException => failure.Message,
        OperationCanceledException => $"its body or the store made no progress for {context.Options.EnqueueTimeout} (EnqueueTimeout)",
        _ => $"its body could not be read: {FailureText.Of(failure)}",
    };

    private async Task<EnqueueResult> AddAsync(WatchedRequest request, QueueEnd end, LiveFailure? failure, Attempt write)
    {
        var body = new EntryBodyStream(context, write);
        await using var closing = body.ConfigureAwait(false);
        var entry = await StoreBodyAsync(request, end, failure, body, write).ConfigureAwait(false);
        return await AddAsync(entry, body, write).ConfigureAwait(false);
    }

    private async Task<EnqueueResult> AddAsync(NewEntry entry, EntryBodyStream body, Attempt write)
    {
        Task<AddedEntry?> adding = _store.AddAsync(entry, write.Token).AsTask()!;
        return (await FinishAddAsync(adding, entry, body, write).ConfigureAwait(false))!.Value;
    }

    /// <summary>
    /// Adds a request, or makes it one with the last entry of its key. In this process requests of one key are put in one after another,
    /// so that the second of two finds the first.
    /// </summary>
    private async Task<EnqueueResult> AddOrCoalesceAsync(
        WatchedRequest request, LiveFailure? failure, Attempt write, CancellationToken cancellationToken)
    {
        using var spool = await coalescer.SpoolAsync(request, write).ConfigureAwait(false);
        request = spool is null ? request : request with { Body = new(spool.ToContent()) };
        // The body is stored before the turn begins: the turn of a large one would be long.
        var body = new EntryBodyStream(context, write);
        await using var closing = body.ConfigureAwait(false);
        var entry = await StoreBodyAsync(request, QueueEnd.Back, failure, body, write).ConfigureAwait(false);

        write.Pause();
        using var turn = await coalescer.TakeTurnAsync(request.CoalesceKey!, cancellationToken).ConfigureAwait(false);
        write.Restart();
        while (turn is not null && await coalescer.FindAsync(request, write).ConfigureAwait(false) is { } queued)
        {
            write.Pause();
            var (how, merged) = await coalescer.DecideAsync(queued, request, failure, spool, cancellationToken).ConfigureAwait(false);
            write.Restart();
            using var changed = merged?.Message;
            EnqueueResult? result;
            switch (how)
            {
                case Coalescing.Append:
                    // It has its key, so that the next request of that key finds this one and not the one before.
                    return await AddAsync(entry, body, write).ConfigureAwait(false);
                case Coalescing.ReplaceQueued when merged is { } newer:
                    try
                    {
                        result = await TryReplaceAsync(queued, newer, failure, write).ConfigureAwait(false);
                        break;
                    }
                    catch (Exception e) when (e is not QueueStoreException && !write.IsCancellationRequested)
                    {
                        // The function gave it a body that cannot be read.
                        coalescer.MergeFailed(queued, e);
                        return await AddAsync(entry, body, write).ConfigureAwait(false);
                    }

                case Coalescing.ReplaceQueued:
                    result = await TryReplaceAsync(queued, entry, body, write).ConfigureAwait(false);
                    break;
                default:
                    result = await TryDropAsync(queued, request, how, write).ConfigureAwait(false);
                    break;
            }

            if (result is { } found)
            {
                return found;
            }
        }

        return await AddAsync(entry, body, write).ConfigureAwait(false);
    }

    private async Task<NewEntry> StoreBodyAsync(
        WatchedRequest request, QueueEnd end, LiveFailure? failure, EntryBodyStream body, Attempt write)
    {
        await request.Body.CopyOnceMoreAsync(body, write, write.Token).ConfigureAwait(false);
        var stored = await body.CompleteAsync().ConfigureAwait(false);
        request.RefuseFormSecrets(body);
        return request.ToEntry(context, end, stored, failure);
    }

    private async Task<EnqueueResult?> TryDropAsync(WatchedRequest request, LiveFailure? failure, Attempt write) =>
        context.Options.GetCoalescing()!.Always is var always and (Coalescing.KeepFirst or Coalescing.CancelOut)
        && await coalescer.FindAsync(request, write).ConfigureAwait(false) is { } queued
        && coalescer.Limit(always, queued, request, failure) == always
            ? await TryDropAsync(queued, request, always, write).ConfigureAwait(false)
            : null;

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
        var body = new EntryBodyStream(context, write);
        await using var closing = body.ConfigureAwait(false);
        var entry = await StoreBodyAsync(newer, QueueEnd.Back, failure, body, write).ConfigureAwait(false);
        return await TryReplaceAsync(queued, entry, body, write).ConfigureAwait(false);
    }

    /// <summary>Has a request take the place of an entry.</summary>
    /// <returns><see langword="null"/> when the entry has changed since it was read.</returns>
    private async Task<EnqueueResult?> TryReplaceAsync(QueuedEntry queued, NewEntry entry, EntryBodyStream body, Attempt write)
    {
        var delay = entry.RequestedDelay ? entry.Delay : TimeSpan.Zero;
        var replacing = _store.ReplaceAsync(Coalescer.Replaced(queued, entry), entry.Body, delay, write.Token).AsTask();
        EntryChange change;
        try
        {
            change = await replacing.WaitAsync(write.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!replacing.IsCanceled && !replacing.IsFaulted)
        {
            var late = PublishLateAsync(replacing, queued.Id, entry);
            body.TakenBy(late);
            throw;
        }

        if (change != EntryChange.Done)
        {
            return null;
        }

        body.Taken();
        context.Events.Superseded(context.Name, queued.Id, entry);
        return new(queued.Id, Coalescing.ReplaceQueued);
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
        if (entry is null || !added.IsUnchanged(entry))
        {
            return false;
        }

        var removing = _store.RemoveAsync(context.Name, entry.Id, entry.Revision, CancellationToken.None);
        return await removing.ConfigureAwait(false) == EntryChange.Done;
    }

    /// <summary>Removes an entry whose caller was told that it is not queued. Never throws.</summary>
    /// <returns>Whether the store had added it.</returns>
    private async Task<bool> RemoveLateAsync(Task<AddedEntry?> adding, NewEntry entry)
    {
        AddedEntry? added = null;
        try
        {
            added = await adding.ConfigureAwait(false);
            if (added is null)
            {
                return false;
            }

            PublishDropped(added);
            if (await TryRemoveAsync(new(added.Id, Coalescing.Append, entry.Request, entry.Timestamp)).ConfigureAwait(false))
            {
                return true;
            }
        }
        catch (Exception e) when (e is QueueStoreException or OperationCanceledException or ObjectDisposedException or PrerequisiteException)
        {
            // Either nothing was added, or the entry is named below.
        }

        if (added is null)
        {
            return false;
        }

        context.Events.Queued(context.Name, added.Id, entry);
        context.Events.QueuedLate(context.Name, added.Id);
        return true;
    }

    /// <summary>Publishes that a request took the place of an entry although its caller was told that it is not queued.</summary>
    /// <returns>Whether it did.</returns>
    private async Task<bool> PublishLateAsync(Task<EntryChange> replacing, long id, NewEntry entry)
    {
        await ((Task)replacing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (replacing is not { IsCompletedSuccessfully: true, Result: EntryChange.Done })
        {
            return false;
        }

        context.Events.Superseded(context.Name, id, entry);
        context.Events.QueuedLate(context.Name, id);
        return true;
    }

    private void PublishDropped(AddedEntry added)
    {
        foreach (var letter in added.Dropped)
        {
            context.Events.DeadLettered(letter);
        }
    }
}

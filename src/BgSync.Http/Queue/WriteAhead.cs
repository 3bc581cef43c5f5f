using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>Writes requests down before they are sent, so that not even the end of the process loses them.</summary>
internal sealed class WriteAhead(QueueContext context, EntryWriter writer)
{
    private readonly IQueueStore _store = context.Store;

    /// <summary>
    /// Writes a request to stable storage before it is sent. A failure is published, and does not keep the request from being sent.
    /// </summary>
    /// <returns><see langword="null"/> when it is not written down.</returns>
    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public async Task<WriteAheadRequest?> BeginAsync(WatchedRequest request, CancellationToken cancellationToken)
    {
        try
        {
            request = request.ToStorable(context.Options);
            using var write = context.BeginWrite(cancellationToken);
            var body = context.NewBody(write);
            await using var closing = body.ConfigureAwait(false);
            await request.Body.CopyAheadAsync(body, write, write.Token).ConfigureAwait(false);
            var entry = await request.ToEntryAsync(context, QueueEnd.Back, body, failure: null).ConfigureAwait(false);
            var beginning = _store.BeginWriteAheadAsync(entry, request.IsRepeatable, write.Token).AsTask();
            var id = await body.StoreAsync(beginning, static _ => true, DiscardLateAsync).ConfigureAwait(false);
            return new(id, entry);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            context.Events.NotWrittenAhead(context.Name, request.Captured.ToSnapshot(), context.ReasonOf(e));
            return null;
        }
    }

    /// <summary>Moves a request that failed into its queue, where it was its turn.</summary>
    /// <returns>
    /// <see langword="null"/> when it is not written down any more: it was lost with a damaged file, or taken over by a process that
    /// thought this one dead.
    /// </returns>
    /// <exception cref="QueueStoreException">The store could not move it, or the queue is full.</exception>
    /// <exception cref="OperationCanceledException">The store took too long.</exception>
    public async Task<EnqueueResult?> CommitAsync(WriteAheadRequest written, WatchedRequest request, LiveFailure failure)
    {
        var start = request.StartAfter(failure, context);
        using var write = context.BeginWrite(CancellationToken.None);
        var committing = _store.CommitWriteAheadAsync(written.Id, start, write.Token).AsTask();
        var entry = written.Entry with { Attempts = start.Attempts, LastError = start.LastError };
        return await writer.FinishAddAsync(committing, entry, context.NewBody(write)).ConfigureAwait(false);
    }

    /// <summary>
    /// Forgets a request that needs no queue, so that no later process sends it again. Never throws: a store that fails is asked again,
    /// beside the caller, while the process lives.
    /// </summary>
    public async Task DiscardAsync(WriteAheadRequest written)
    {
        if (!await TryDiscardAsync(written.Id).ConfigureAwait(false))
        {
            ThreadPool.UnsafeQueueUserWorkItem(static state => _ = state.Ahead.InsistAsync(state.Id), (Ahead: this, written.Id), preferLocal: false);
        }
    }

    private async Task DiscardLateAsync(long id)
    {
        if (!await TryDiscardAsync(id).ConfigureAwait(false))
        {
            await InsistAsync(id).ConfigureAwait(false);
        }
    }

    private async Task InsistAsync(long id)
    {
        var failures = 0;
        do
        {
            var retry = context.Options.Retry;
            var wait = Backoff.Wait(++failures, retry.MinBackoff, retry.MaxBackoff, context.Options.Randomizer());
            await Task.Delay(wait, context.Time).ConfigureAwait(false);
        }
        while (!await TryDiscardAsync(id).ConfigureAwait(false));
    }

    /// <returns>Whether nothing is left to be done.</returns>
    private async Task<bool> TryDiscardAsync(long id)
    {
        try
        {
            await _store.DiscardWriteAheadAsync(id, CancellationToken.None).AsTask()
                .WaitAsync(context.Options.EnqueueTimeout, context.Time).ConfigureAwait(false);
            return true;
        }
        catch (ObjectDisposedException)
        {
            // The application ends; the next one finds the request written down, and sends it again with its key.
            return true;
        }
        catch (Exception e)
        {
            context.Events.WriteAheadNotDiscarded(context.Name, e);
            return false;
        }
    }
}

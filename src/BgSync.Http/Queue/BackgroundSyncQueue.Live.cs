using BgSync.Http.Events;
using BgSync.Http.Responses;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>The way in for live requests, and the wait of their callers.</summary>
internal sealed partial class BackgroundSyncQueue
{
    private static readonly Task<QueuedRequest?> _none = Task.FromResult<QueuedRequest?>(null);

    /// <summary>Takes down a request as it is now: a redirect changes it while it is sent.</summary>
    public WatchedRequest Capture(HttpRequestMessage request) => WatchedRequest.Of(request, context, context.Time.GetUtcNow());

    /// <summary>Finds a request that the queue has taken already: a handler outside sends it again.</summary>
    /// <returns><see langword="null"/> when it is another request.</returns>
    public Task<QueuedRequest?> FindTakenAsync(HttpRequestMessage request) =>
        !_taken.TryGet(request, out var queued, out var isCopy) ? _none
        : isCopy ? RequireAliveAsync(queued)
        : Task.FromResult<QueuedRequest?>(queued);

    /// <summary>Writes a request that failed to stable storage. A cancel by the caller takes it back.</summary>
    /// <param name="request">The request.</param>
    /// <param name="written">The request as it was written down before it was sent.</param>
    /// <param name="failure">The failure.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <exception cref="QueueStoreException">The store could not take it, or the queue is full.</exception>
    /// <exception cref="PrerequisiteException">It cannot wait for the entry that it names.</exception>
    /// <exception cref="RequestQueuedException">The caller has cancelled, and the entry cannot be taken back.</exception>
    /// <exception cref="OperationCanceledException">
    /// The caller has cancelled, and nothing is queued; or the store or the body made no progress for too long.
    /// </exception>
    public async Task<QueuedRequest> EnqueueAsync(
        WatchedRequest request, WriteAheadRequest? written, LiveFailure failure, CancellationToken cancellationToken)
    {
        var result = written is { Entry.CoalesceKey: null }
            ? await Ahead.CommitAsync(written, request, failure).ConfigureAwait(false)
            : null;
        if (result is null)
        {
            result = await writer.EnqueueAsync(request, QueueEnd.Back, failure, CancellationToken.None).ConfigureAwait(false);
            if (written is not null)
            {
                // Two commits: should the process end between them, the request is sent twice, with one key.
                await Ahead.DiscardAsync(written).ConfigureAwait(false);
            }
        }

        await ThrowIfCancelledAsync(result.Value, failure.Exception, cancellationToken).ConfigureAwait(false);
        // Added before the replay begins, so that its response finds the caller that waits for it.
        var waiter = context.Options.WhenQueued == WhenQueued.Wait && result.Value.How != Coalescing.CancelOut
            ? waiters.Add(Name, result.Value.EntryId)
            : null;
        replayer.WakeForNew();
        var queued = new QueuedRequest(result.Value, failure.Exception, waiter);
        _taken.Add(request.Message, request.Captured.ToSnapshot(), queued);
        return queued;
    }

    /// <summary>Tells a caller that has cancelled the truth: its entry is taken back, or named.</summary>
    /// <exception cref="OperationCanceledException">The caller has cancelled, and nothing is queued.</exception>
    /// <exception cref="RequestQueuedException">The caller has cancelled, and the entry cannot be taken back.</exception>
    public async Task ThrowIfCancelledAsync(EnqueueResult result, Exception failure, CancellationToken cancellationToken)
    {
        if (!cancellationToken.IsCancellationRequested)
        {
            return;
        }

        if (await writer.TryTakeBackAsync(result).ConfigureAwait(false))
        {
            replayer.Wake();
            throw new OperationCanceledException(cancellationToken);
        }

        replayer.WakeForNew();
        throw new RequestQueuedException(Name, result, failure);
    }

    /// <summary>Waits until an entry is delivered.</summary>
    /// <param name="queued">The entry that the request became; its waiter is disposed of.</param>
    /// <param name="request">The caller's request.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <exception cref="RequestQueuedException">
    /// It was not delivered in time, nobody sends any more, or the caller has cancelled; the entry stays queued.
    /// </exception>
    /// <exception cref="RequestNotDeliveredException">The entry ended otherwise.</exception>
    public async Task<HttpResponseMessage> WaitAsync(QueuedRequest queued, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var waiter = queued.Waiter!;
        request.SetBackgroundSyncEntryId(queued.EntryId);
        var began = context.Time.GetTimestamp();
        while (!waiter.IsEnded && !cancellationToken.IsCancellationRequested)
        {
            // Read before the first wait too: the entry may have been sent before anybody waited.
            var reading = ReadReceiptAsync(queued.EntryId);
            Task answered = Task.WhenAny(reading, waiter.Ended);
            await answered.WaitAsync(PatienceSince(began), context.Time, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (reading is { IsCompleted: true, Result: { IsOver: true, Receipt: var receipt } })
            {
                return ToResponse(queued, waiter, receipt, request);
            }

            var patience = PatienceSince(began);
            if (patience <= TimeSpan.Zero)
            {
                break;
            }

            await waiter.WaitAsync(patience, context.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        // After a cancel too: HttpClient gives its caller a cancel that has this one inside.
        throw new RequestQueuedException(Name, queued.EnqueueResult, queued.Failure);
    }

    /// <returns><see langword="null"/> when the entry was removed, became a dead letter, or the store does not say so in time.</returns>
    private async Task<QueuedRequest?> RequireAliveAsync(QueuedRequest queued)
    {
        var reading = ReadReceiptAsync(queued.EntryId);
        await ((Task)reading).WaitAsync(context.Options.EnqueueTimeout, context.Time)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return reading is { IsCompletedSuccessfully: true, Result.Receipt.State: ReceiptState.Queued or ReceiptState.Delivered }
            ? queued
            : null;
    }

    /// <summary>Reads what became of an entry. A store that cannot say so now is asked again later. Never throws.</summary>
    private async Task<(bool IsOver, Receipt? Receipt)> ReadReceiptAsync(long id)
    {
        try
        {
            var receipt = await Store.GetReceiptAsync(Name, id, CancellationToken.None).ConfigureAwait(false);
            return (receipt?.State != ReceiptState.Queued, receipt);
        }
        catch (Exception e) when (e is QueueStoreException or ObjectDisposedException or OperationCanceledException)
        {
            return (false, null);
        }
    }

    private HttpResponseMessage ToResponse(QueuedRequest queued, EntryWaiter waiter, Receipt? receipt, HttpRequestMessage request)
    {
        if (receipt is not ({ State: ReceiptState.Delivered } or { Cause: DeadLetterCause.Rejected })
            || receipt.StatusCode is not { } statusCode)
        {
            throw new RequestNotDeliveredException(Name, queued.EntryId, receipt, queued.Failure);
        }

        var response = waiter.TakeResponse(statusCode) ?? ReceiptResponse.Create(statusCode, receipt.Response);
        response.RequestMessage = request;
        return response;
    }

    /// <summary>How long to wait before the store is asked again: what other processes do is not signalled.</summary>
    private TimeSpan PatienceSince(long began)
    {
        var interval = context.Options.Replay.Interval;
        if (context.Options.WaitTimeout == Timeout.InfiniteTimeSpan)
        {
            return interval;
        }

        var left = context.Options.WaitTimeout - context.Time.GetElapsedTime(began);
        return left < TimeSpan.Zero ? TimeSpan.Zero : left < interval ? left : interval;
    }
}

using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>Gives a caller the response to its entry, when it comes.</summary>
internal sealed class EntryAwaiter(string queue, BackgroundSyncOptions options, IQueueStore store, TimeProvider timeProvider)
{
    /// <summary>Waits until an entry is delivered.</summary>
    /// <param name="queued">What the request became; its waiter is disposed of.</param>
    /// <param name="request">The caller's request.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <exception cref="RequestQueuedException">It did not come in time, or nobody sends any more; the entry stays queued.</exception>
    /// <exception cref="RequestNotDeliveredException">The entry ended otherwise.</exception>
    public async Task<HttpResponseMessage> WaitAsync(QueuedRequest queued, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var waiter = queued.Waiter!;
        request.SetBackgroundSyncEntryId(queued.EntryId);
        var began = timeProvider.GetTimestamp();
        while (!waiter.IsEnded)
        {
            // Looked at before the first wait too: it may have been sent before anybody waited.
            var (isOver, receipt) = await LookAsync(queued.EntryId, cancellationToken).ConfigureAwait(false);
            if (isOver)
            {
                return Answer(queued, waiter, receipt, request);
            }

            var patience = PatienceSince(began);
            if (patience <= TimeSpan.Zero)
            {
                break;
            }

            await waiter.WaitAsync(patience, timeProvider, cancellationToken).ConfigureAwait(false);
        }

        throw new RequestQueuedException(queue, queued.EnqueueResult, queued.Failure);
    }

    /// <summary>Looks what became of an entry. A store that cannot say so now is asked again later.</summary>
    private async Task<(bool IsOver, Receipt? Receipt)> LookAsync(long id, CancellationToken cancellationToken)
    {
        try
        {
            var receipt = await store.GetReceiptAsync(queue, id, cancellationToken).ConfigureAwait(false);
            return (receipt?.State != ReceiptState.Queued, receipt);
        }
        catch (Exception e) when (e is QueueStoreException or ObjectDisposedException)
        {
            return (false, null);
        }
    }

    private HttpResponseMessage Answer(QueuedRequest queued, EntryWaiter waiter, Receipt? receipt, HttpRequestMessage request)
    {
        if (receipt is not ({ State: ReceiptState.Delivered } or { Cause: DeadLetterCause.Rejected })
            || receipt.StatusCode is not { } statusCode)
        {
            throw new RequestNotDeliveredException(queue, queued.EntryId, receipt, queued.Failure);
        }

        var response = waiter.TakeResponse(statusCode) ?? ReceiptResponse.Create(statusCode, receipt.Response);
        response.RequestMessage = request;
        return response;
    }

    /// <summary>Until when to wait before looking again: what other processes do is not told.</summary>
    private TimeSpan PatienceSince(long began)
    {
        if (options.WaitTimeout == Timeout.InfiniteTimeSpan)
        {
            return options.Replay.Interval;
        }

        var left = options.WaitTimeout - timeProvider.GetElapsedTime(began);
        return left < options.Replay.Interval ? left : options.Replay.Interval;
    }
}

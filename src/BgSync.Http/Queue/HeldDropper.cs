using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>Forgets held requests that are done with, so that no later process sends them again.</summary>
internal sealed class HeldDropper(
    string queue, BackgroundSyncOptions options, IQueueStore store, EntryEvents events, TimeProvider timeProvider)
{
    /// <summary>Never throws: what the store does not take now it is asked again, beside the caller, while the process lives.</summary>
    public async Task DiscardWriteAheadAsync(HeldRequest held)
    {
        if (!await TryDropAsync(held.Id).ConfigureAwait(false))
        {
            using (ExecutionContext.SuppressFlow())
            {
                _ = Task.Run(() => InsistAsync(held.Id));
            }
        }
    }

    private async Task InsistAsync(long heldId)
    {
        var failures = 0;
        do
        {
            var wait = Backoff.Wait(++failures, options.Retry.MinBackoff, options.Retry.MaxBackoff, options.Randomizer());
            await Task.Delay(wait, timeProvider).ConfigureAwait(false);
        }
        while (!await TryDropAsync(heldId).ConfigureAwait(false));
    }

    /// <returns>Whether nothing is left to be done.</returns>
    private async Task<bool> TryDropAsync(long heldId)
    {
        try
        {
            await store.DiscardWriteAheadAsync(heldId, CancellationToken.None).AsTask().WaitAsync(options.EnqueueTimeout, timeProvider)
                .ConfigureAwait(false);
            return true;
        }
        catch (ObjectDisposedException)
        {
            // The application ends; the next one finds the request held, and sends it again with its key.
            return true;
        }
        catch (Exception e)
        {
            events.NotDropped(queue, e);
            return false;
        }
    }
}

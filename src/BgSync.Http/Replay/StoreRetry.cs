using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>Repeats a write until the store takes it: a delivered entry that is not removed would be sent again.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed partial class StoreRetry(
    string queue, BackgroundSyncOptions options, EntryEvents events, TimeProvider timeProvider, ILogger<StoreRetry> logger)
{
    private readonly ILogger<StoreRetry> _logger = logger;

    /// <param name="lease">Of what is written down.</param>
    /// <param name="write">Returns whether the lease is held.</param>
    /// <param name="cancellationToken">After it the next failure is thrown.</param>
    /// <returns><see langword="false"/> when the lease was lost.</returns>
    public async Task<bool> InsistAsync(Lease lease, Func<ValueTask<bool>> write, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                var held = await write().ConfigureAwait(false);
                if (!held)
                {
                    events.LeaseLost(queue, lease.EntryId);
                }

                return held;
            }
            catch (QueueStoreException e) when (!cancellationToken.IsCancellationRequested)
            {
                LogWriteFailed(e, queue, lease.EntryId, e.Message);
                var wait = Backoff.Wait(failures, options.Retry.MinBackoff, options.Replay.LeaseDuration, options.Randomizer());
                await Task.Delay(wait, timeProvider, cancellationToken).ConfigureAwait(false);
            }
        }
    }
}

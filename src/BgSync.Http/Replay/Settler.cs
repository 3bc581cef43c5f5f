using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>
/// Writes settlements and has them published. A write is repeated until the store takes it: a delivered entry that stays in the store
/// would be sent again.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class Settler(QueueContext queue, ILogger logger)
{
    private readonly BackgroundSyncOptions _options = queue.Options;
    private readonly FailureLog _failures = new(queue.Time);
    private volatile bool _waitsForTrigger;
    private long _delivered;
    private long _deadLettered;

    /// <summary>How many entries were delivered and dead-lettered so far.</summary>
    public (long Delivered, long DeadLettered) Counts => (Interlocked.Read(ref _delivered), Interlocked.Read(ref _deadLettered));

    /// <summary>Whether this process has let an entry wait for a trigger (<see cref="BackgroundSyncRetryOptions.Delays"/>).</summary>
    public bool WaitsForTrigger
    {
        get => _waitsForTrigger;
        set => _waitsForTrigger = value;
    }

    /// <summary>Counts and publishes an entry that became a dead letter without an attempt.</summary>
    public void Publish(DeadLetter letter, bool isKept)
    {
        Interlocked.Increment(ref _deadLettered);
        queue.Events.DeadLettered(letter, isKept);
    }

    /// <summary>Settles an entry that was not delivered.</summary>
    /// <param name="leased">The entry.</param>
    /// <param name="settlement">The settlement.</param>
    /// <param name="took">How long the attempt took.</param>
    /// <param name="cancellationToken">After it the next failure of the store is thrown.</param>
    /// <returns>Whether the entry has left its lane.</returns>
    public async Task<bool> SettleAsync(LeasedEntry leased, Settlement settlement, TimeSpan took, CancellationToken cancellationToken)
    {
        var lease = leased.Lease;
        if (!await InsistAsync(
            lease, () => queue.Store.SettleAsync(lease, settlement, CancellationToken.None), cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        if (settlement is not Settlement.DeadLettered deadLettered)
        {
            _waitsForTrigger |= settlement is Settlement.Retry { Delay: var delay } && delay == TimeSpan.MaxValue;
            queue.Events.Settled(leased.Entry!, settlement, took, []);
            return settlement is Settlement.Retry { LeavesLane: true };
        }

        Interlocked.Increment(ref _deadLettered);
        var history = await HistoryOfAsync(lease.EntryId).ConfigureAwait(false);
        if (leased.IsReadable)
        {
            queue.Events.Settled(leased.Entry, settlement, took, history);
        }
        else
        {
            queue.Events.DeadLettered(queue.Name, lease.EntryId, deadLettered, history, leased.Entry);
        }

        return true;
    }

    /// <summary>Removes entries that were delivered, and publishes it.</summary>
    /// <param name="delivered">The entries, in their order.</param>
    /// <param name="remove">Removes them; returns whether the lease was held.</param>
    /// <param name="cancellationToken">After it the next failure of the store is thrown.</param>
    /// <returns><see langword="false"/> when the lease was lost.</returns>
    public async Task<bool> SettleAsync(
        IReadOnlyList<LeasedRun.Delivery> delivered, Func<ValueTask<bool>> remove, CancellationToken cancellationToken)
    {
        if (!await InsistAsync(delivered[0].Leased.Lease, remove, cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        Interlocked.Add(ref _delivered, delivered.Count);
        foreach (var (leased, settlement, took) in delivered)
        {
            queue.Events.Settled(leased.Entry!, settlement, took, []);
        }

        return true;
    }

    private async Task<bool> InsistAsync(Lease lease, Func<ValueTask<bool>> write, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                var held = await write().ConfigureAwait(false);
                if (!held)
                {
                    queue.Events.LeaseLost(queue.Name, lease.EntryId);
                }

                return held;
            }
            catch (QueueStoreException e) when (!cancellationToken.IsCancellationRequested)
            {
                if (_failures.IsToBeTold())
                {
                    ReplayMessages.SettlementNotWritten(logger, e, queue.Name, lease.EntryId, FailureText.Of(e));
                }

                var wait = Backoff.Wait(failures, _options.Retry.MinBackoff, _options.Replay.LeaseDuration, _options.Randomizer());
                // A stop cuts the wait, and the store is asked once more.
                await Task.Delay(wait, queue.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>The failed attempts that an observer of a dead letter may see.</summary>
    private async ValueTask<IReadOnlyList<FailedAttempt>> HistoryOfAsync(long id)
    {
        try
        {
            return await queue.Store.GetHistoryAsync(queue.Name, id, CancellationToken.None).ConfigureAwait(false);
        }
        catch (QueueStoreException)
        {
            // The entry is a dead letter, and its end is published in any case.
            return [];
        }
    }
}

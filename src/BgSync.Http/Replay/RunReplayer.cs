using BgSync.Http.Queue;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>
/// Sends the leased entries of a lane, one after another, keeps their lease meanwhile, has what became of them written down, and goes on
/// with what follows in the lane.
/// </summary>
internal sealed partial class RunReplayer(
    string queue,
    BackgroundSyncOptions options,
    IQueueStore store,
    ReplaySender sender,
    EntrySettler settler,
    StoreRetry writer,
    EntryEvents events,
    ReplayCounters tally,
    TimeProvider timeProvider,
    ILogger<RunReplayer> logger)
{
    private readonly ILogger<RunReplayer> _logger = logger;

    /// <summary>Never throws: what could not be done is logged, and the lease runs out by itself.</summary>
    /// <param name="first">The leased head of a lane.</param>
    /// <param name="mayGoOn">Asked when an entry is delivered: whether the next one of its lane is to be sent at once.</param>
    /// <param name="cancellationToken">Breaks the attempt off and gives back what is leased.</param>
    /// <returns>Whether the last entry that was tried has left its lane.</returns>
    public async Task<bool> ReplayAsync(LeasedEntry first, Func<bool> mayGoOn, CancellationToken cancellationToken)
    {
        var length = new RunLength(timeProvider);
        IReadOnlyList<LeasedEntry> run = [first];
        while (true)
        {
            try
            {
                var end = await SendAsync(run, length, mayGoOn, cancellationToken).ConfigureAwait(false);
                if (end.Next.Count == 0)
                {
                    return end.HasLeftLane;
                }

                run = end.Next;
            }
            catch (Exception e)
            {
                LogAttemptLost(e, queue, run[0].Lease.EntryId, e.Message);
                return false;
            }
        }
    }

    private async Task<RunEnd> SendAsync(
        IReadOnlyList<LeasedEntry> run, RunLength length, Func<bool> mayGoOn, CancellationToken cancellationToken)
    {
        var keeper = new LeaseKeeper(store, run[0].Lease, options.Replay.LeaseDuration, timeProvider, cancellationToken);
        await using var keeping = keeper.ConfigureAwait(false);
        var deliveries = new DeliveryWriter(store, writer, events, tally, cancellationToken);
        await using var writing = deliveries.ConfigureAwait(false);
        length.Begin();
        for (var sent = 0; ;)
        {
            var leased = run[sent];
            if (await SendAsync(leased, deliveries, keeper, cancellationToken).ConfigureAwait(false) is { } hasLeftLane)
            {
                return new(hasLeftLane, []);
            }

            sent++;
            if (!mayGoOn())
            {
                return new(await deliveries.EndAsync(rest: null).ConfigureAwait(false), []);
            }

            if (sent == run.Count || length.IsOver)
            {
                var next = length.After(sent, leased.Entry!.Request.Origin, options.Replay.LeaseDuration);
                var (isDone, leasedNext) = await deliveries.EndAndLeaseNextAsync(next).ConfigureAwait(false);
                return new(isDone, leasedNext);
            }

            deliveries.Begin(run[sent].Lease);
            if (deliveries.IsLost)
            {
                return new(false, []);
            }
        }
    }

    /// <returns>Whether it has left its lane, when it was not delivered: the run ends with it.</returns>
    private async Task<bool?> SendAsync(
        LeasedEntry leased, DeliveryWriter deliveries, LeaseKeeper keeper, CancellationToken cancellationToken)
    {
        var lease = leased.Lease;
        if (!leased.IsReadable)
        {
            return await deliveries.EndAsync(lease).ConfigureAwait(false)
                && await settler.BuryUnreadableAsync(leased, cancellationToken).ConfigureAwait(false);
        }

        var entry = leased.Entry;
        var wasSent = false;
        try
        {
            keeper.Attempt.ThrowIfCancellationRequested();
            events.Sending(entry);
            var began = timeProvider.GetTimestamp();
            wasSent = true;
            var outcome = await sender.SendAsync(entry, leased.Body, keeper.Attempt).ConfigureAwait(false);
            var took = timeProvider.GetElapsedTime(began);
            if (outcome is ReplayOutcome.Delivered { Delivery: var delivery })
            {
                var receipt = options.Receipts.Retention == TimeSpan.Zero ? null : delivery;
                deliveries.Add(new(entry, lease, delivery.StatusCode, receipt, took));
                return null;
            }

            return await deliveries.EndAsync(lease).ConfigureAwait(false)
                && await settler.SettleAsync(lease, entry, outcome, took, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (keeper.IsLost)
        {
            events.LeaseLost(queue, entry.Id);
            return false;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            if (await deliveries.EndAsync(lease).ConfigureAwait(false))
            {
                await settler.GiveBackAsync(lease, entry, wasSent).ConfigureAwait(false);
            }

            return false;
        }
        catch (Exception)
        {
            // Whatever it is, those that were delivered before are not to be sent again.
            await deliveries.EndAsync(lease).ConfigureAwait(false);
            throw;
        }
    }

    /// <param name="HasLeftLane">Whether the last entry that was tried has left its lane.</param>
    /// <param name="Next">What was leased to go on with.</param>
    private readonly record struct RunEnd(bool HasLeftLane, IReadOnlyList<LeasedEntry> Next);
}

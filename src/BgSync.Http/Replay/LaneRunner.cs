using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>
/// Sends the leased entries of a lane, one after another, renews their lease meanwhile, has their settlements written, and continues with
/// the next ones of the lane.
/// </summary>
internal sealed class LaneRunner(QueueContext queue, ReplayAttempt attempt, Settler settler, LaneLeases leases, ILogger logger)
{
    private readonly BackgroundSyncOptions _options = queue.Options;

    /// <summary>
    /// Sends the entries of one lane until it is empty or an entry stays, because a live request is to follow them: that attempt is made
    /// in the place of the live one.
    /// </summary>
    /// <returns>Why some are left; <see langword="null"/> when none is.</returns>
    public async Task<string?> DrainAsync(string lane, CancellationToken cancellationToken)
    {
        if (await queue.Store.GetPauseAsync(queue.Name, cancellationToken).ConfigureAwait(false) is { Cause: PauseCause.Application })
        {
            return "the queue is paused";
        }

        while (await leases.LeaseLaneAsync(lane, cancellationToken).ConfigureAwait(false) is { } leased)
        {
            bool hasLeft;
            try
            {
                hasLeft = await RunAsync(leased, static () => false, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                leases.End(leased);
            }

            if (!hasLeft)
            {
                cancellationToken.ThrowIfCancellationRequested();
                return $"entry {leased.Lease.EntryId} could not be delivered";
            }
        }

        return await queue.Store.HasEntriesAsync(queue.Name, lane, cancellationToken).ConfigureAwait(false)
            ? "its first entry waits as the server or its caller asked, or for another entry, or is being sent by another process"
            : null;
    }

    /// <summary>Never throws: a failure is logged, and the lease runs out by itself.</summary>
    /// <param name="first">The leased head of a lane.</param>
    /// <param name="canContinue">Asked when an entry is delivered: whether the next one of its lane is sent at once.</param>
    /// <param name="cancellationToken">Breaks the attempt off and gives back the entries that are leased.</param>
    /// <returns>Whether the last entry that was tried has left its lane.</returns>
    public async Task<bool> RunAsync(LeasedEntry first, Func<bool> canContinue, CancellationToken cancellationToken)
    {
        var length = new RunLength(queue.Time);
        IReadOnlyList<LeasedEntry> run = [first];
        try
        {
            while (true)
            {
                var (hasLeftLane, next) = await SendRunAsync(run, length, canContinue, cancellationToken).ConfigureAwait(false);
                if (next.Count == 0)
                {
                    return hasLeftLane;
                }

                run = next;
            }
        }
        catch (Exception e)
        {
            ReplayMessages.AttemptLost(logger, e, queue.Name, run[0].Lease.EntryId, e.Message);
            return false;
        }
    }

    /// <returns>Whether the last entry that was tried has left its lane, and the entries that were leased to continue with.</returns>
    private async Task<(bool HasLeftLane, IReadOnlyList<LeasedEntry> Next)> SendRunAsync(
        IReadOnlyList<LeasedEntry> run, RunLength length, Func<bool> canContinue, CancellationToken cancellationToken)
    {
        var keeper = new LeaseKeeper(queue.Store, run[0].Lease, _options.Replay.LeaseDuration, queue.Time, cancellationToken);
        await using var keeping = keeper.ConfigureAwait(false);
        var deliveries = new DeliveryBatch(
            queue.Store, settler, keepsReceipts: _options.Receipts.Retention != TimeSpan.Zero, cancellationToken);
        await using var writing = deliveries.ConfigureAwait(false);
        length.Begin();
        for (var sent = 0; ;)
        {
            var leased = run[sent];
            if (await SendAsync(leased, deliveries, keeper, cancellationToken).ConfigureAwait(false) is { } hasLeftLane)
            {
                return (hasLeftLane, []);
            }

            sent++;
            if (!canContinue())
            {
                return (await deliveries.EndAsync(rest: null).ConfigureAwait(false), []);
            }

            if (sent == run.Count || length.IsOver)
            {
                var next = length.After(sent, leased.Entry!.Request.Origin, _options.Replay.LeaseDuration);
                var (isDone, leasedNext) = await deliveries.EndAndLeaseNextAsync(next).ConfigureAwait(false);
                return (isDone, leasedNext);
            }

            deliveries.Begin(run[sent].Lease);
            if (deliveries.IsLost)
            {
                return (false, []);
            }
        }
    }

    /// <returns>Whether the entry has left its lane, when it was not delivered: the run ends with it.</returns>
    private async Task<bool?> SendAsync(
        LeasedEntry leased, DeliveryBatch deliveries, LeaseKeeper keeper, CancellationToken cancellationToken)
    {
        var lease = leased.Lease;
        if (!leased.IsReadable)
        {
            var damage = new Settlement.DeadLettered(DeadLetterCause.Unreadable, leased.Damage);
            return await deliveries.EndAsync(lease).ConfigureAwait(false)
                && await settler.SettleAsync(leased, damage, TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            keeper.Attempt.ThrowIfCancellationRequested();
            queue.Events.Sending(leased.Entry);
            var began = queue.Time.GetTimestamp();
            var settlement = await attempt.SendAsync(leased.Entry, leased.Body, keeper.Attempt).ConfigureAwait(false);
            var took = queue.Time.GetElapsedTime(began);
            if (settlement is Settlement.Delivered delivered)
            {
                deliveries.Add(leased, delivered, took);
                return null;
            }

            return await deliveries.EndAsync(lease).ConfigureAwait(false)
                && await settler.SettleAsync(leased, settlement, took, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (keeper.IsLost)
        {
            queue.Events.LeaseLost(queue.Name, lease.EntryId);
            return false;
        }
        catch (OperationCanceledException e) when (cancellationToken.IsCancellationRequested)
        {
            if (await deliveries.EndAsync(lease).ConfigureAwait(false))
            {
                var sent = (e as ReplayAttempt.BrokenOffException)?.Sent;
                await settler.ReleaseAsync(leased, OutcomeRules.DecideBrokenOff(sent)).ConfigureAwait(false);
            }

            return false;
        }
        catch (Exception)
        {
            // Whatever it is, the entries that were delivered before are not sent again.
            await deliveries.EndAsync(lease).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// How many entries of a lane are leased together: as many as are sent in a moment. A leased entry can neither be changed by hand nor
    /// overtaken, and may be sent again when the process is killed; so a server that takes its time is sent one after another.
    /// </summary>
    private sealed class RunLength(TimeProvider time)
    {
        private const int Longest = 32;

        // Of the bodies, which are read with their entries.
        private const long Bytes = 128 * 1024;

        private static readonly TimeSpan _moment = TimeSpan.FromMilliseconds(50);

        private int _length = 1;
        private long _began;

        /// <summary>Whether the entries of a run that are left wait for the next run.</summary>
        public bool IsOver => time.GetElapsedTime(_began) >= _moment;

        /// <summary>Begins a run.</summary>
        public void Begin() => _began = time.GetTimestamp();

        /// <summary>The lease that follows a run of which this many were sent.</summary>
        public NextLease After(int sent, string origin, TimeSpan duration)
        {
            _length = IsOver ? sent : Math.Min(Math.Max(_length, sent) * 2, Longest);
            return new(origin, _length, Bytes, duration);
        }
    }
}

using System.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Queues;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>Makes one attempt at a leased entry, keeps its lease meanwhile, and writes down what became of it.</summary>
internal sealed partial class EntryReplayer(
    string queue,
    BackgroundSyncOptions options,
    IQueueStore store,
    ReplaySender sender,
    CredentialsPause pause,
    EndlessWaits endless,
    EntryEvents events,
    ReplayTally tally,
    TimeProvider timeProvider,
    ILogger<EntryReplayer> logger)
{
    private readonly ILogger<EntryReplayer> _logger = logger;

    /// <summary>Never throws: what could not be done is logged, and the lease runs out by itself.</summary>
    /// <param name="leased">The entry.</param>
    /// <param name="mayGoOn">Asked once it is delivered: whether the next entry of its lane is to be leased at once.</param>
    /// <param name="cancellationToken">Breaks the attempt off and gives the entry back.</param>
    public async Task<Replayed> ReplayAsync(LeasedEntry leased, Func<bool>? mayGoOn, CancellationToken cancellationToken)
    {
        try
        {
            if (leased.IsReadable)
            {
                return await SendAsync(leased, leased.Entry, mayGoOn, cancellationToken).ConfigureAwait(false);
            }

            var death = new DeathCertificate(DeadLetterReason.Unreadable, leased.Damage);
            var buried = await BuryAsync(leased.Lease, death, cancellationToken).ConfigureAwait(false);
            if (buried)
            {
                events.Dead(
                    queue, leased.Lease.EntryId, leased.Entry, death, await HistoryOfAsync(leased.Lease.EntryId).ConfigureAwait(false));
            }

            return new(buried);
        }
        catch (Exception e)
        {
            LogAttemptLost(e, queue, leased.Lease.EntryId, e.Message);
            return default;
        }
    }

    private async Task<Replayed> SendAsync(
        LeasedEntry leased, StoredEntry entry, Func<bool>? mayGoOn, CancellationToken cancellationToken)
    {
        var lease = leased.Lease;
        var keeper = new LeaseKeeper(store, lease, options.LeaseDuration, timeProvider, cancellationToken);
        await using (keeper.ConfigureAwait(false))
        {
            events.Sending(entry);
            var began = timeProvider.GetTimestamp();
            try
            {
                var outcome = await sender.SendAsync(entry, leased.Body, keeper.Attempt).ConfigureAwait(false);
                var took = timeProvider.GetElapsedTime(began);
                return outcome is ReplayOutcome.Delivered delivered
                    ? await CompleteAsync(lease, entry, delivered, took, mayGoOn, cancellationToken).ConfigureAwait(false)
                    : new(await SettleAsync(lease, entry, outcome, took, cancellationToken).ConfigureAwait(false));
            }
            catch (OperationCanceledException) when (keeper.IsLost)
            {
                events.LeaseLost(queue, entry.Id);
                return default;
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                await store.RescheduleAsync(lease, new(TimeSpan.Zero, CountsAsAttempt: true), CancellationToken.None).ConfigureAwait(false);
                events.GivenBack(entry);
                return default;
            }
        }
    }

    private async Task<Replayed> CompleteAsync(
        Lease lease,
        StoredEntry entry,
        ReplayOutcome.Delivered delivered,
        TimeSpan took,
        Func<bool>? mayGoOn,
        CancellationToken cancellationToken)
    {
        var receipt = options.ReceiptRetention == TimeSpan.Zero ? null : delivered.Delivery;
        LeasedEntry? next = null;
        var completed = await InsistAsync(lease, RemoveAsync, cancellationToken).ConfigureAwait(false);
        if (completed)
        {
            tally.Delivered();
            events.Delivered(entry, delivered.Delivery.StatusCode, took);
        }

        return new(completed, next);

        async ValueTask<bool> RemoveAsync()
        {
            if (mayGoOn?.Invoke() is not true)
            {
                return await store.CompleteAsync(lease, receipt, CancellationToken.None).ConfigureAwait(false);
            }

            (var isDone, next) = await store.CompleteAndLeaseNextAsync(
                lease, receipt, entry.Request.Origin, options.LeaseDuration, CancellationToken.None).ConfigureAwait(false);
            return isDone;
        }
    }

    /// <returns>Whether the entry has left its lane.</returns>
    private async Task<bool> SettleAsync(
        Lease lease, StoredEntry entry, ReplayOutcome outcome, TimeSpan took, CancellationToken cancellationToken)
    {
        switch (outcome)
        {
            case ReplayOutcome.Again again:
                if (!await RescheduleAsync(lease, again.Retry, cancellationToken).ConfigureAwait(false))
                {
                    return false;
                }

                if (again.Retry.Delay == TimeSpan.MaxValue)
                {
                    endless.Begin();
                }

                events.WillRetry(entry, again.Retry, again.Status, took);
                return again.Retry.LeavesLane;
            case ReplayOutcome.Pause wanted:
                // Paused first: once the entry is back in its lane it would be taken up again.
                await pause.BeginAsync(wanted.Reason).ConfigureAwait(false);
                var pausing = new Retry(TimeSpan.Zero, CountsAsAttempt: false, wanted.Reason, StatusCode: wanted.Status);
                await RescheduleAsync(lease, pausing, cancellationToken).ConfigureAwait(false);
                return false;
            case ReplayOutcome.Dead dead:
                var buried = await BuryAsync(lease, dead.Death, cancellationToken).ConfigureAwait(false);
                if (buried)
                {
                    events.Died(entry, dead.Death, await HistoryOfAsync(entry.Id).ConfigureAwait(false), took);
                }

                return buried;
            default:
                throw new UnreachableException();
        }
    }

    private Task<bool> RescheduleAsync(Lease lease, Retry retry, CancellationToken cancellationToken) =>
        InsistAsync(lease, () => store.RescheduleAsync(lease, retry, CancellationToken.None), cancellationToken);

    private async Task<bool> BuryAsync(Lease lease, DeathCertificate death, CancellationToken cancellationToken)
    {
        var held = await InsistAsync(lease, () => store.BuryAsync(lease, death, CancellationToken.None), cancellationToken)
            .ConfigureAwait(false);
        if (held)
        {
            tally.Died();
        }

        return held;
    }

    /// <summary>What whoever is told of a dead letter may see of it.</summary>
    private async ValueTask<IReadOnlyList<FailedAttempt>> HistoryOfAsync(long id)
    {
        try
        {
            return await store.GetHistoryAsync(queue, id, CancellationToken.None).ConfigureAwait(false);
        }
        catch (QueueStoreException)
        {
            // It is buried, and is to be told of in any case.
            return [];
        }
    }

    /// <summary>Repeats a write until the store takes it: a delivered entry that is not removed would be sent again.</summary>
    /// <returns><see langword="false"/> when the lease was lost.</returns>
    private async Task<bool> InsistAsync(Lease lease, Func<ValueTask<bool>> write, CancellationToken cancellationToken)
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
                LogSettleFailed(e, queue, lease.EntryId, e.Message);
                var wait = Backoff.Wait(failures, options.MinBackoff, options.LeaseDuration, options.Randomizer());
                await Task.Delay(wait, timeProvider, cancellationToken).ConfigureAwait(false);
            }
        }
    }
}

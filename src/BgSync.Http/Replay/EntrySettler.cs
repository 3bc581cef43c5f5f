using System.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Writes down what became of a leased entry that was not delivered, and tells of it.</summary>
internal sealed class EntrySettler(
    string queue,
    IQueueStore store,
    StoreRetry writer,
    CredentialsPause pause,
    TriggerOnlyBackoff endless,
    EntryEvents events,
    ReplayCounters tally)
{
    /// <returns>Whether the entry has left its lane.</returns>
    public async Task<bool> SettleAsync(
        Lease lease, QueuedEntry entry, ReplayOutcome outcome, TimeSpan took, CancellationToken cancellationToken)
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
                var pausing = new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: false, wanted.Reason, StatusCode: wanted.Status);
                await RescheduleAsync(lease, pausing, cancellationToken).ConfigureAwait(false);
                return false;
            case ReplayOutcome.DeadLettered dead:
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

    /// <summary>Buries an entry that cannot be read.</summary>
    /// <returns>Whether it has left its lane.</returns>
    public async Task<bool> BuryUnreadableAsync(LeasedEntry leased, CancellationToken cancellationToken)
    {
        var death = new Settlement.DeadLettered(DeadLetterCause.Unreadable, leased.Damage);
        var id = leased.Lease.EntryId;
        var buried = await BuryAsync(leased.Lease, death, cancellationToken).ConfigureAwait(false);
        if (buried)
        {
            events.Dead(queue, id, leased.Entry, death, await HistoryOfAsync(id).ConfigureAwait(false));
        }

        return buried;
    }

    /// <summary>Gives an entry back whose attempt was broken off, or not made at all.</summary>
    /// <param name="lease">Its lease.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="wasSent">Whether the server may have seen it.</param>
    public async Task GiveBackAsync(Lease lease, QueuedEntry entry, bool wasSent)
    {
        await store.SettleAsync(lease, new Settlement.Released(wasSent), CancellationToken.None).ConfigureAwait(false);
        events.Released(entry);
    }

    private Task<bool> RescheduleAsync(Lease lease, Settlement.Retry retry, CancellationToken cancellationToken) =>
        writer.InsistAsync(lease, () => store.SettleAsync(lease, retry, CancellationToken.None), cancellationToken);

    private async Task<bool> BuryAsync(Lease lease, Settlement.DeadLettered death, CancellationToken cancellationToken)
    {
        var held = await writer.InsistAsync(
            lease, () => store.SettleAsync(lease, death, CancellationToken.None), cancellationToken).ConfigureAwait(false);
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
}

using BgSync.Http.Queues;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Now and then voids the leases of dead processes, and moves what is past its retention to the dead letters.</summary>
internal sealed class QueueHousekeeper(
    string queue, BackgroundSyncOptions options, IQueueStore store, EntryEvents events, ReplayTally tally, TimeProvider timeProvider)
{
    /// <summary>Entries expired at a time, so that other writes get their turn.</summary>
    private const int Batch = 100;

    private DateTimeOffset _next;

    /// <summary>Keeps house, if it was not done lately.</summary>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        if (timeProvider.GetUtcNow() < _next)
        {
            return;
        }

        await store.ReclaimAsync(cancellationToken).ConfigureAwait(false);
        IReadOnlyList<DeadLetter> expired;
        do
        {
            expired = await store.ExpireAsync(queue, Batch, keep: !options.DiscardExpired, cancellationToken).ConfigureAwait(false);
            foreach (var letter in expired)
            {
                tally.Died();
                events.Dead(letter, isKept: !options.DiscardExpired);
            }
        }
        while (expired.Count == Batch);
        _next = timeProvider.GetUtcNow() + options.ReplayInterval;
    }
}

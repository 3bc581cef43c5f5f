using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>
/// Now and then voids the leases of dead processes, moves what is past its retention to the dead letters, deletes dead letters that
/// are too old or too many, and forgets old receipts.
/// </summary>
internal sealed class QueueHousekeeper(
    string queue, BackgroundSyncOptions options, IQueueStore store, EntryEvents events, ReplayCounters tally, TimeProvider timeProvider)
{
    /// <summary>Entries expired, dead letters deleted, or receipts forgotten, at a time, so that other writes get their turn.</summary>
    private const int Batch = 100;

    private DateTimeOffset _next;

    /// <summary>Keeps house, if it was not done lately.</summary>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        if (timeProvider.GetUtcNow() < _next)
        {
            return;
        }

        await ReclaimAsync(cancellationToken).ConfigureAwait(false);
        await ExpireAsync(cancellationToken).ConfigureAwait(false);
        await TrimAsync(cancellationToken).ConfigureAwait(false);
        await ForgetReceiptsAsync(cancellationToken).ConfigureAwait(false);
        _next = timeProvider.GetUtcNow() + options.Replay.Interval;
    }

    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<DeadLetter> expired;
        do
        {
            expired = await store.ExpireAsync(queue, Batch, keep: !options.DeadLetters.DiscardExpired, cancellationToken).ConfigureAwait(false);
            foreach (var letter in expired)
            {
                tally.Died();
                events.Dead(letter, isKept: !options.DeadLetters.DiscardExpired);
            }
        }
        while (expired.Count == Batch);
    }

    /// <summary>One limit after the other, so that each deletion has its reason.</summary>
    private async Task TrimAsync(CancellationToken cancellationToken)
    {
        var retention = options.DeadLetters.Retention;
        if (retention != Timeout.InfiniteTimeSpan && retention <= timeProvider.GetUtcNow() - DateTimeOffset.MinValue)
        {
            var reason = $"It was older than {retention} ({nameof(options.DeadLetters.Retention)}).";
            await TrimAsync(timeProvider.GetUtcNow() - retention, keep: null, reason, cancellationToken).ConfigureAwait(false);
        }

        if (options.DeadLetters.MaxCount is { } most)
        {
            var reason = $"There were more than {most} ({nameof(options.DeadLetters.MaxCount)}).";
            await TrimAsync(DateTimeOffset.MinValue, most, reason, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task TrimAsync(DateTimeOffset diedBefore, long? keep, string reason, CancellationToken cancellationToken)
    {
        IReadOnlyList<long> deleted;
        do
        {
            deleted = await store.TrimDeadLettersAsync(queue, diedBefore, keep, Batch, cancellationToken).ConfigureAwait(false);
            foreach (var id in deleted)
            {
                events.Deleted(queue, id, reason);
            }
        }
        while (deleted.Count == Batch);
    }

    private async Task ForgetReceiptsAsync(CancellationToken cancellationToken)
    {
        var now = timeProvider.GetUtcNow();
        var retention = options.Receipts.Retention;
        if (retention == Timeout.InfiniteTimeSpan || retention > now - DateTimeOffset.MinValue)
        {
            return;
        }

        int forgotten;
        do
        {
            forgotten = await store.ForgetReceiptsAsync(queue, now - retention, Batch, cancellationToken).ConfigureAwait(false);
        }
        while (forgotten == Batch);
    }

    private async Task ReclaimAsync(CancellationToken cancellationToken)
    {
        var work = await store.ReclaimAsync(cancellationToken).ConfigureAwait(false);
        foreach (var entry in work.Entries)
        {
            events.Queued(entry);
        }

        foreach (var letter in work.DeadLetters)
        {
            tally.Died();
            events.Dead(letter);
        }
    }
}

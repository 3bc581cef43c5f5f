using BgSync.Http.Queue;

namespace BgSync.Http.Replay;

/// <summary>
/// Now and then voids the leases of dead processes, moves what is past its retention to the dead letters, deletes dead letters that
/// are too old or too many, and forgets old receipts.
/// </summary>
internal sealed class QueueHousekeeper(QueueContext queue, Settler settler)
{
    /// <summary>Entries expired, dead letters deleted, or receipts forgotten, at a time, so that other writes get their turn.</summary>
    private const int Batch = 100;

    private readonly BackgroundSyncOptions _options = queue.Options;
    private DateTimeOffset _next;

    /// <summary>Keeps house, if it was not done lately.</summary>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        if (queue.Time.GetUtcNow() < _next)
        {
            return;
        }

        await ReclaimAsync(cancellationToken).ConfigureAwait(false);
        await ExpireAsync(cancellationToken).ConfigureAwait(false);
        await TrimAsync(cancellationToken).ConfigureAwait(false);
        await ForgetReceiptsAsync(cancellationToken).ConfigureAwait(false);
        _next = queue.Time.GetUtcNow() + _options.Replay.Interval;
    }

    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<DeadLetter> expired;
        do
        {
            expired = await queue.Store.ExpireAsync(queue.Name, Batch, keep: !_options.DeadLetters.DiscardExpired, cancellationToken).ConfigureAwait(false);
            foreach (var letter in expired)
            {
                settler.CountDeadLettered(1);
                queue.Events.DeadLettered(letter, isKept: !_options.DeadLetters.DiscardExpired);
            }
        }
        while (expired.Count == Batch);
    }

    /// <summary>One limit after the other, so that each deletion has its reason.</summary>
    private async Task TrimAsync(CancellationToken cancellationToken)
    {
        var retention = _options.DeadLetters.Retention;
        if (retention != Timeout.InfiniteTimeSpan && retention <= queue.Time.GetUtcNow() - DateTimeOffset.MinValue)
        {
            var reason = $"It was older than {retention} (DeadLetters.Retention).";
            await TrimAsync(queue.Time.GetUtcNow() - retention, keep: null, reason, cancellationToken).ConfigureAwait(false);
        }

        if (_options.DeadLetters.MaxCount is { } most)
        {
            var reason = $"There were more than {most} (DeadLetters.MaxCount).";
            await TrimAsync(DateTimeOffset.MinValue, most, reason, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task TrimAsync(DateTimeOffset diedBefore, long? keep, string reason, CancellationToken cancellationToken)
    {
        IReadOnlyList<long> deleted;
        do
        {
            deleted = await queue.Store.TrimDeadLettersAsync(queue.Name, diedBefore, keep, Batch, cancellationToken).ConfigureAwait(false);
            foreach (var id in deleted)
            {
                queue.Events.Deleted(queue.Name, id, reason);
            }
        }
        while (deleted.Count == Batch);
    }

    private async Task ForgetReceiptsAsync(CancellationToken cancellationToken)
    {
        var now = queue.Time.GetUtcNow();
        var retention = _options.Receipts.Retention;
        if (retention == Timeout.InfiniteTimeSpan || retention > now - DateTimeOffset.MinValue)
        {
            return;
        }

        int forgotten;
        do
        {
            forgotten = await queue.Store.ForgetReceiptsAsync(queue.Name, now - retention, Batch, cancellationToken).ConfigureAwait(false);
        }
        while (forgotten == Batch);
    }

    private async Task ReclaimAsync(CancellationToken cancellationToken)
    {
        var work = await queue.Store.ReclaimAsync(cancellationToken).ConfigureAwait(false);
        foreach (var entry in work.Entries)
        {
            queue.Events.Queued(entry);
        }

        foreach (var letter in work.DeadLetters)
        {
            settler.CountDeadLettered(1);
            queue.Events.DeadLettered(letter);
        }
    }
}

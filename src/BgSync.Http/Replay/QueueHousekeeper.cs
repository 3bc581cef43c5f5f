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

    private static async Task InBatchesAsync(Func<Task<int>> doBatch)
    {
        while (await doBatch().ConfigureAwait(false) == Batch)
        {
        }
    }

    /// <returns>The time before which all is too old; <see langword="null"/> when nothing is.</returns>
    private DateTimeOffset? StartOf(TimeSpan retention)
    {
        var now = queue.Time.GetUtcNow();
        return retention == Timeout.InfiniteTimeSpan || retention > now - DateTimeOffset.MinValue ? null : now - retention;
    }

    private Task ExpireAsync(CancellationToken cancellationToken) => InBatchesAsync(async () =>
    {
        var isKept = !_options.DeadLetters.DiscardExpired;
        var expired = await queue.Store.ExpireAsync(queue.Name, Batch, isKept, cancellationToken).ConfigureAwait(false);
        foreach (var letter in expired)
        {
            settler.Publish(letter, isKept);
        }

        return expired.Count;
    });

    /// <summary>One limit after the other, so that each deletion has its reason.</summary>
    private async Task TrimAsync(CancellationToken cancellationToken)
    {
        if (StartOf(_options.DeadLetters.Retention) is { } start)
        {
            var reason = $"It was older than {_options.DeadLetters.Retention} (DeadLetters.Retention).";
            await TrimAsync(start, keep: null, reason, cancellationToken).ConfigureAwait(false);
        }

        if (_options.DeadLetters.MaxCount is { } most)
        {
            var reason = $"There were more than {most} (DeadLetters.MaxCount).";
            await TrimAsync(DateTimeOffset.MinValue, most, reason, cancellationToken).ConfigureAwait(false);
        }
    }

    private Task TrimAsync(DateTimeOffset diedBefore, long? keep, string reason, CancellationToken cancellationToken) =>
        InBatchesAsync(async () =>
        {
            var deleted = await queue.Store.TrimDeadLettersAsync(queue.Name, diedBefore, keep, Batch, cancellationToken)
                .ConfigureAwait(false);
            foreach (var id in deleted)
            {
                queue.Events.Deleted(queue.Name, id, reason);
            }

            return deleted.Count;
        });

    private async Task ForgetReceiptsAsync(CancellationToken cancellationToken)
    {
        if (StartOf(_options.Receipts.Retention) is { } start)
        {
            await InBatchesAsync(() => queue.Store.ForgetReceiptsAsync(queue.Name, start, Batch, cancellationToken).AsTask())
                .ConfigureAwait(false);
        }
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
            settler.Publish(letter, isKept: true);
        }
    }
}

using BgSync.Http.Capture;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>
/// Takes entries out of a queue by hand. Whoever removes an entry has it: what was copied by one who came too late is thrown away.
/// </summary>
internal sealed class EntryTaker(
    string queue, BackgroundSyncOptions options, IQueueStore store, EntryEvents events, TimeProvider timeProvider)
{
    /// <summary>Entries expired at a time, so that other writes get their turn.</summary>
    private const int Batch = 100;

    /// <summary>Takes the entry next to an end that can be had.</summary>
    /// <returns><see langword="null"/> when there is none.</returns>
    public async ValueTask<TakenEntry?> TakeAsync(QueueEnd end, CancellationToken cancellationToken)
    {
        await ExpireAsync(cancellationToken).ConfigureAwait(false);
        await foreach (var entry in store.ReadAsync(queue, end, cancellationToken).ConfigureAwait(false))
        {
            if (await TryTakeAsync(entry, cancellationToken).ConfigureAwait(false) is { } taken)
            {
                events.Taken(queue, entry.Id);
                return taken;
            }
        }

        return null;
    }

    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<DeadLetter> expired;
        do
        {
            expired = await store.ExpireAsync(queue, Batch, keep: !options.DeadLetters.DiscardExpired, cancellationToken).ConfigureAwait(false);
            foreach (var letter in expired)
            {
                events.Dead(letter, isKept: !options.DeadLetters.DiscardExpired);
            }
        }
        while (expired.Count == Batch);
    }

    private async ValueTask<TakenEntry?> TryTakeAsync(QueuedEntry read, CancellationToken cancellationToken)
    {
        for (var entry = read; entry is { IsLeased: false } && entry.ExpiresAt >= timeProvider.GetUtcNow();)
        {
            var taken = await CopyAsync(entry, cancellationToken).ConfigureAwait(false);
            var isTaken = false;
            try
            {
                isTaken = taken is not null
                    && await store.RemoveAsync(queue, entry.Id, entry.Revision, cancellationToken).ConfigureAwait(false)
                        == EntryChange.Done;
            }
            finally
            {
                if (!isTaken)
                {
                    taken?.Dispose();
                }
            }

            if (isTaken)
            {
                return taken;
            }

            // Once more if it was edited meanwhile; otherwise it is gone, in flight or unreadable.
            var current = await store.FindAsync(queue, entry.Id, cancellationToken).ConfigureAwait(false);
            entry = current?.Revision == entry.Revision ? null : current;
        }

        return null;
    }

    /// <returns><see langword="null"/> when it is gone, or cannot be read and is left to become a dead letter.</returns>
    private async Task<TakenEntry?> CopyAsync(QueuedEntry entry, CancellationToken cancellationToken)
    {
        if (await store.OpenBodyAsync(queue, entry.Id, cancellationToken).ConfigureAwait(false) is not { } body)
        {
            return null;
        }

        var spool = new BodySpool(options.Capture.InlineBodyLength, maxLength: null);
        var isCopied = false;
        try
        {
            await using (body.ConfigureAwait(false))
            {
                await spool.CopyFromAsync(body, cancellationToken).ConfigureAwait(false);
            }

            var taken = new TakenEntry(entry, spool);
            isCopied = true;
            return taken;
        }
        catch (Exception e) when (e is InvalidDataException or FormatException or ArgumentException or NotSupportedException)
        {
            return null;
        }
        finally
        {
            if (!isCopied)
            {
                spool.Dispose();
            }
        }
    }
}

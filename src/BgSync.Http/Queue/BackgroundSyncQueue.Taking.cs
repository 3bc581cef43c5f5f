using BgSync.Http.Capture;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>Taking entries out by hand. The caller that removes an entry has it; a copy that came too late is thrown away.</summary>
internal sealed partial class BackgroundSyncQueue
{
    /// <summary>Takes the entry next to an end that can be had.</summary>
    /// <returns><see langword="null"/> when there is none.</returns>
    private async ValueTask<TakenEntry?> TakeAsync(QueueEnd end, CancellationToken cancellationToken)
    {
        await ExpireAsync(cancellationToken).ConfigureAwait(false);
        await foreach (var entry in Store.ReadAsync(Name, end, cancellationToken).ConfigureAwait(false))
        {
            if (await TryTakeAsync(entry, cancellationToken).ConfigureAwait(false) is { } taken)
            {
                Events.Taken(Name, entry.Id);
                replayer.Wake();
                return taken;
            }
        }

        return null;
    }

    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        var isKept = !context.Options.DeadLetters.DiscardExpired;
        IReadOnlyList<DeadLetter> expired;
        do
        {
            expired = await Store.ExpireAsync(Name, Batch, isKept, cancellationToken).ConfigureAwait(false);
            foreach (var letter in expired)
            {
                Events.DeadLettered(letter, isKept);
            }
        }
        while (expired.Count == Batch);
    }

    private async ValueTask<TakenEntry?> TryTakeAsync(QueuedEntry read, CancellationToken cancellationToken)
    {
        for (var entry = read; entry is { IsLeased: false } && entry.ExpiresAt >= context.Time.GetUtcNow();)
        {
            var copy = await CopyAsync(entry, cancellationToken).ConfigureAwait(false);
            try
            {
                if (copy is not null
                    && await Store.RemoveAsync(Name, entry.Id, entry.Revision, cancellationToken).ConfigureAwait(false) == EntryChange.Done)
                {
                    (var taken, copy) = (copy, null);
                    return taken;
                }
            }
            finally
            {
                copy?.Dispose();
            }

            // Once more if it was edited meanwhile; otherwise it is gone, in flight or unreadable.
            var current = await Store.FindAsync(Name, entry.Id, cancellationToken).ConfigureAwait(false);
            entry = current?.Revision == entry.Revision ? null : current;
        }

        return null;
    }

    /// <returns><see langword="null"/> when it is gone, or cannot be read and is left to become a dead letter.</returns>
    private async Task<TakenEntry?> CopyAsync(QueuedEntry entry, CancellationToken cancellationToken)
    {
        if (await Store.OpenBodyAsync(Name, entry.Id, cancellationToken).ConfigureAwait(false) is not { } body)
        {
            return null;
        }

        BodySpool? spool = new(context.Options.Capture.InlineBodyLength, maxLength: null);
        try
        {
            await using (body.ConfigureAwait(false))
            {
                await body.CopyToAsync(spool, cancellationToken).ConfigureAwait(false);
            }

            var taken = new TakenEntry(entry, spool);
            spool = null;
            return taken;
        }
        catch (Exception e) when (e is InvalidDataException or FormatException or ArgumentException or NotSupportedException)
        {
            return null;
        }
        catch (NotStorableException e)
        {
            throw new IOException(e.Message, e);
        }
        finally
        {
            spool?.Dispose();
        }
    }
}

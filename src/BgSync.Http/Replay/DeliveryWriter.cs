using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>
/// Removes what was delivered under one lease while what is behind it is being sent. One write is under way at a time, which keeps the
/// order; what is delivered meanwhile shares the next one.
/// </summary>
/// <remarks>Not thread-safe: used by whoever sends the lane.</remarks>
internal sealed class DeliveryWriter(
    IQueueStore store, StoreRetry writer, EntryEvents events, ReplayCounters tally, CancellationToken cancellationToken)
    : IAsyncDisposable
{
    private List<SentEntry> _waiting = [];
    private Task<bool> _writing = Task.FromResult(true);

    /// <summary>Whether the lease is known to be lost.</summary>
    public bool IsLost => _writing is { IsCompletedSuccessfully: true, Result: false };

    /// <summary>Notes that an entry was delivered.</summary>
    public void Add(SentEntry delivered) => _waiting.Add(delivered);

    /// <summary>Has what was delivered removed, unless a write is under way.</summary>
    /// <param name="rest">The lease of the entry that is sent next.</param>
    public void Begin(Lease rest)
    {
        if (_writing is { IsCompletedSuccessfully: true, Result: true })
        {
            _writing = RemoveAsync(delivered => store.SettleAsync(delivered, rest, CancellationToken.None));
        }
    }

    /// <summary>Has all removed that was delivered.</summary>
    /// <param name="rest">The lease of the entry that is to stay leased; <see langword="null"/> gives back all that is left.</param>
    /// <returns>Whether the lease is still held.</returns>
    public async Task<bool> EndAsync(Lease? rest) =>
        await _writing.ConfigureAwait(false)
            && (_waiting.Count == 0
                || await RemoveAsync(delivered => store.SettleAsync(delivered, rest, CancellationToken.None)).ConfigureAwait(false));

    /// <summary>Has all removed that was delivered, and leases what follows in the lane.</summary>
    /// <returns>Whether the lease was still held, and what was leased.</returns>
    public async Task<Completion> EndAndLeaseNextAsync(NextLease next)
    {
        IReadOnlyList<LeasedEntry> leased = [];
        var isDone = await _writing.ConfigureAwait(false) && await RemoveAsync(CompleteAsync).ConfigureAwait(false);
        return new(isDone, leased);

        async ValueTask<bool> CompleteAsync(DeliveredEntry[] delivered)
        {
            (var isDone, leased) = await store.SettleAsync(delivered, next, CancellationToken.None).ConfigureAwait(false);
            return isDone;
        }
    }

    /// <summary>Waits for the write under way.</summary>
    public async ValueTask DisposeAsync() => await ((Task)_writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async Task<bool> RemoveAsync(Func<DeliveredEntry[], ValueTask<bool>> remove)
    {
        var batch = _waiting;
        _waiting = [];
        var delivered = batch.ConvertAll(static sent => new DeliveredEntry(sent.Lease, sent.Receipt)).ToArray();
        if (!await writer.InsistAsync(delivered[0].Lease, () => remove(delivered), cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        foreach (var sent in batch)
        {
            tally.Delivered();
            events.Delivered(sent.Entry, sent.Status, sent.Took);
        }

        return true;
    }
}

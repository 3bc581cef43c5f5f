using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>
/// The entries that were delivered under one lease and are still to be removed. They are removed while the next ones are sent: one write
/// is under way at a time, which keeps the order, and deliveries that come meanwhile share the next write.
/// </summary>
/// <remarks>Not thread-safe: used by the runner of the lane.</remarks>
internal sealed class DeliveryBatch(IQueueStore store, Settler settler, bool keepsReceipts, CancellationToken cancellationToken)
    : IAsyncDisposable
{
    private List<Item> _waiting = [];
    private Task<bool> _writing = Task.FromResult(true);

    /// <summary>Whether the lease is known to be lost.</summary>
    public bool IsLost => _writing is { IsCompletedSuccessfully: true, Result: false };

    /// <summary>Adds an entry that was delivered.</summary>
    public void Add(LeasedEntry leased, Settlement.Delivered settlement, TimeSpan took) => _waiting.Add(new(leased, settlement, took));

    /// <summary>Begins to remove the delivered entries, unless a write is under way.</summary>
    /// <param name="rest">The lease of the entry that is sent next.</param>
    public void Begin(Lease rest)
    {
        if (_writing is { IsCompletedSuccessfully: true, Result: true })
        {
            _writing = RemoveAsync(delivered => store.SettleAsync(delivered, rest, CancellationToken.None));
        }
    }

    /// <summary>Removes all delivered entries.</summary>
    /// <param name="rest">The lease of the entry that stays leased; <see langword="null"/> gives back all that is left.</param>
    /// <returns>Whether the lease is still held.</returns>
    public async Task<bool> EndAsync(Lease? rest) =>
        await _writing.ConfigureAwait(false)
            && (_waiting.Count == 0
                || await RemoveAsync(delivered => store.SettleAsync(delivered, rest, CancellationToken.None)).ConfigureAwait(false));

    /// <summary>Removes all delivered entries, and leases the next ones of the lane.</summary>
    /// <returns>Whether the lease was still held, and the entries that were leased.</returns>
    public async Task<Completion> EndAndLeaseNextAsync(NextLease next)
    {
        var completion = new Completion(IsDone: false, []);
        if (await _writing.ConfigureAwait(false))
        {
            await RemoveAsync(async delivered =>
            {
                completion = await store.SettleAsync(delivered, next, CancellationToken.None).ConfigureAwait(false);
                return completion.IsDone;
            }).ConfigureAwait(false);
        }

        return completion;
    }

    /// <summary>Waits for the write under way.</summary>
    public async ValueTask DisposeAsync() => await ((Task)_writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private Task<bool> RemoveAsync(Func<DeliveredEntry[], ValueTask<bool>> remove)
    {
        var batch = _waiting;
        _waiting = [];
        var delivered = batch
            .ConvertAll(item => new DeliveredEntry(item.Leased.Lease, keepsReceipts ? item.Settlement : null))
            .ToArray();
        return settler.SettleAsync(batch, () => remove(delivered), cancellationToken);
    }

    /// <summary>An entry that was delivered.</summary>
    /// <param name="Leased">The entry and its lease.</param>
    /// <param name="Settlement">Its settlement.</param>
    /// <param name="Took">How long the attempt took.</param>
    internal readonly record struct Item(LeasedEntry Leased, Settlement.Delivered Settlement, TimeSpan Took);
}

using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>
/// Entries of a lane under one lease. The lease is renewed while they are sent, and the attempt is broken off when it is lost. Those that
/// were delivered are removed while the next ones are sent: one write is under way at a time, which keeps the order, and deliveries that
/// come meanwhile share the next write.
/// </summary>
/// <remarks>Used by the runner of the lane only, but for the renewals.</remarks>
internal sealed class LeasedRun : IAsyncDisposable
{
    private readonly QueueContext _queue;
    private readonly Settler _settler;
    private readonly Lease _lease;
    private readonly CancellationToken _abort;
    private readonly CancellationTokenSource _attempt;
    private readonly CancellationTokenSource _done = new();
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private Task _renewing = Task.CompletedTask;
    private Task<bool> _writing = Task.FromResult(true);
    private List<Delivery> _delivered = [];
    private volatile bool _isLost;

    /// <param name="queue">The queue.</param>
    /// <param name="settler">Writes what became of the entries.</param>
    /// <param name="lease">The lease of the first entry, which is renewed for all.</param>
    /// <param name="abort">Breaks the attempt off.</param>
    public LeasedRun(QueueContext queue, Settler settler, Lease lease, CancellationToken abort)
    {
        _queue = queue;
        _settler = settler;
        _lease = lease;
        _abort = abort;
        _attempt = CancellationTokenSource.CreateLinkedTokenSource(abort);
        // A third, so that two renewals may fail before the lease runs out. Most attempts are over before the first.
        var interval = queue.Options.Replay.LeaseDuration / 3;
        _timer = queue.Time.CreateTimer(static run => ((LeasedRun)run!).Renew(), this, interval, interval);
    }

    /// <summary>Cancelled when the attempt is to be broken off.</summary>
    public CancellationToken Attempt => _attempt.Token;

    /// <summary>Notes that an entry was delivered.</summary>
    public void Add(LeasedEntry leased, Settlement.Delivered settlement, TimeSpan took) => _delivered.Add(new(leased, settlement, took));

    /// <summary>Begins to remove the delivered entries, unless a write is under way.</summary>
    /// <param name="rest">The lease of the entry that is sent next.</param>
    /// <returns><see langword="false"/> when the lease is known to be lost.</returns>
    public bool BeginRemoval(Lease rest)
    {
        if (_writing is { IsCompletedSuccessfully: true, Result: true })
        {
            _writing = RemoveAsync(delivered => _queue.Store.SettleAsync(delivered, rest, CancellationToken.None));
        }

        return _writing is not { IsCompletedSuccessfully: true, Result: false };
    }

    /// <summary>Removes all delivered entries.</summary>
    /// <param name="rest">The lease of the entry that stays leased; <see langword="null"/> gives back all that is left.</param>
    /// <returns>Whether the lease is still held.</returns>
    public async Task<bool> RemoveAllAsync(Lease? rest) =>
        await _writing.ConfigureAwait(false)
            && (_delivered.Count == 0
                || await RemoveAsync(delivered => _queue.Store.SettleAsync(delivered, rest, CancellationToken.None)).ConfigureAwait(false));

    /// <summary>Removes all delivered entries, and leases the next ones of the lane.</summary>
    /// <returns>Whether the lease was still held, and the entries that were leased.</returns>
    public async Task<Completion> LeaseNextAsync(NextLease next)
    {
        var completion = new Completion(IsDone: false, []);
        if (await _writing.ConfigureAwait(false))
        {
            await RemoveAsync(async delivered =>
            {
                completion = await _queue.Store.SettleAsync(delivered, next, CancellationToken.None).ConfigureAwait(false);
                return completion.IsDone;
            }).ConfigureAwait(false);
        }

        return completion;
    }

    /// <summary>Removes all delivered entries, and settles the one behind them, which was not delivered: the run ends with it.</summary>
    /// <returns>Whether the entry has left its lane.</returns>
    public async Task<bool> SettleAsync(LeasedEntry leased, Settlement settlement, TimeSpan took)
    {
        if (_isLost)
        {
            _queue.Events.LeaseLost(_queue.Name, leased.Lease.EntryId);
            return false;
        }

        return await RemoveAllAsync(leased.Lease).ConfigureAwait(false)
            && await _settler.SettleAsync(leased, settlement, took, _abort).ConfigureAwait(false);
    }

    /// <summary>Waits for the write and the renewal under way.</summary>
    public async ValueTask DisposeAsync()
    {
        await ((Task)_writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _timer.DisposeAsync().ConfigureAwait(false);
        lock (_lock)
        {
            _done.Cancel();
        }

        await _renewing.ConfigureAwait(false);
        _done.Dispose();
        _attempt.Dispose();
    }

    private Task<bool> RemoveAsync(Func<DeliveredEntry[], ValueTask<bool>> remove)
    {
        var delivered = _delivered;
        _delivered = [];
        var keepsReceipts = _queue.Options.Receipts.Retention != TimeSpan.Zero;
        var removed = delivered.Select(each => new DeliveredEntry(each.Leased.Lease, keepsReceipts ? each.Settlement : null)).ToArray();
        return _settler.SettleAsync(delivered, () => remove(removed), _abort);
    }

    private void Renew()
    {
        lock (_lock)
        {
            if (_renewing.IsCompleted && !_done.IsCancellationRequested && !_isLost)
            {
                _renewing = RenewAsync();
            }
        }
    }

    private async Task RenewAsync()
    {
        try
        {
            if (!await _queue.Store.RenewAsync(_lease, _queue.Options.Replay.LeaseDuration, _done.Token).ConfigureAwait(false))
            {
                _isLost = true;
                await _attempt.CancelAsync().ConfigureAwait(false);
            }
        }
        catch (QueueStoreException)
        {
            // Another renewal follows; should all fail, the fencing token decides.
        }
        catch (OperationCanceledException)
        {
            // The attempt is over.
        }
    }

    /// <summary>An entry that was delivered.</summary>
    /// <param name="Leased">The entry and its lease.</param>
    /// <param name="Settlement">Its settlement.</param>
    /// <param name="Took">How long the attempt took.</param>
    internal readonly record struct Delivery(LeasedEntry Leased, Settlement.Delivered Settlement, TimeSpan Took);
}

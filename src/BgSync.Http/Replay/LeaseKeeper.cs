using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Renews a lease while its entry is being sent; breaks the attempt off when the lease is lost.</summary>
internal sealed class LeaseKeeper : IAsyncDisposable
{
    private readonly IQueueStore _store;
    private readonly Lease _lease;
    private readonly TimeSpan _duration;
    private readonly CancellationTokenSource _attempt;
    private readonly CancellationTokenSource _done = new();
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private Task _renewing = Task.CompletedTask;

    public LeaseKeeper(IQueueStore store, Lease lease, TimeSpan duration, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        _store = store;
        _lease = lease;
        _duration = duration;
        _attempt = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // A third, so that two renewals may fail before the lease runs out. Most attempts are over before the first.
        _timer = timeProvider.CreateTimer(static keeper => ((LeaseKeeper)keeper!).Renew(), this, duration / 3, duration / 3);
    }

    /// <summary>Cancelled when the attempt is to be broken off.</summary>
    public CancellationToken Attempt => _attempt.Token;

    /// <summary>Whether somebody else holds the entry now.</summary>
    public bool IsLost { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(false);
        Task renewing;
        lock (_lock)
        {
            _done.Cancel();
            renewing = _renewing;
        }

        await renewing.ConfigureAwait(false);
        _done.Dispose();
        _attempt.Dispose();
    }

    private void Renew()
    {
        lock (_lock)
        {
            if (_renewing.IsCompleted && !_done.IsCancellationRequested && !IsLost)
            {
                _renewing = RenewAsync();
            }
        }
    }

    private async Task RenewAsync()
    {
        try
        {
            if (!await _store.RenewAsync(_lease, _duration, _done.Token).ConfigureAwait(false))
            {
                IsLost = true;
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
}

using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Renews a lease while its entry is being sent; breaks the attempt off when the lease is lost.</summary>
internal sealed class LeaseKeeper : IAsyncDisposable
{
    private readonly CancellationTokenSource _done = new();
    private readonly CancellationTokenSource _attempt;
    private readonly PeriodicTimer _timer;
    private readonly Task _renewing;

    public LeaseKeeper(IQueueStore store, Lease lease, TimeSpan duration, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        _attempt = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // A third, so that two renewals may fail before the lease runs out.
        _timer = new PeriodicTimer(duration / 3, timeProvider);
        _renewing = RenewAsync(store, lease, duration);
    }

    /// <summary>Cancelled when the attempt is to be broken off.</summary>
    public CancellationToken Attempt => _attempt.Token;

    /// <summary>Whether somebody else holds the entry now.</summary>
    public bool IsLost { get; private set; }

    public async ValueTask DisposeAsync()
    {
        // Ends the wait for the next renewal, without the price of an exception; a renewal under way is broken off.
        _timer.Dispose();
        await _done.CancelAsync().ConfigureAwait(false);
        await _renewing.ConfigureAwait(false);
        _done.Dispose();
        _attempt.Dispose();
    }

    private async Task RenewAsync(IQueueStore store, Lease lease, TimeSpan duration)
    {
        try
        {
            while (await _timer.WaitForNextTickAsync(CancellationToken.None).ConfigureAwait(false))
            {
                try
                {
                    if (!await store.RenewAsync(lease, duration, _done.Token).ConfigureAwait(false))
                    {
                        IsLost = true;
                        await _attempt.CancelAsync().ConfigureAwait(false);
                        return;
                    }
                }
                catch (QueueStoreException)
                {
                    // Another renewal follows; should all fail, the fencing token decides.
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The attempt is over.
        }
    }
}

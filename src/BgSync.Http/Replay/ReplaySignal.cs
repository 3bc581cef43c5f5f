namespace BgSync.Http.Replay;

/// <summary>Collects triggers until the loop takes them. One that comes while the loop is busy is there when it looks next.</summary>
internal sealed class ReplaySignal(TimeProvider timeProvider)
{
    private readonly Lock _lock = new();
    private ReplayTriggers _pending;
    private bool _isSet;
    private TaskCompletionSource? _waiter;

    public bool IsSet
    {
        get
        {
            lock (_lock)
            {
                return _isSet;
            }
        }
    }

    public void Set(ReplayTriggers trigger)
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            _pending |= trigger;
            _isSet = true;
            waiter = _waiter;
        }

        waiter?.TrySetResult();
    }

    /// <summary>Waits for a trigger, <paramref name="timeout"/> at most, and takes all that came.</summary>
    public async Task<ReplayTriggers> WaitAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (!_isSet)
            {
                _waiter = waiter;
            }
        }

        if (_waiter == waiter)
        {
            await waiter.Task.WaitAsync(timeout, timeProvider, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }

        lock (_lock)
        {
            var taken = _pending;
            (_pending, _isSet, _waiter) = (default, false, null);
            return taken;
        }
    }
}

namespace BgSync.Http.PostgreSql;

/// <summary>Has the store taken for alive by others, as long as it holds requests or writes bodies.</summary>
/// <param name="timeProvider">The clock of the timer.</param>
/// <param name="interval">How long it may be silent.</param>
/// <param name="renewAsync">Says whether it holds anything.</param>
internal sealed class OwnerRenewal(TimeProvider timeProvider, TimeSpan interval, Func<Task<bool>> renewAsync) : IDisposable
{
    private readonly Lock _lock = new();
    private ITimer? _timer;
    private long _begun;

    /// <summary>Whether it has held anything since it last was found to hold nothing.</summary>
    public bool IsRunning
    {
        get
        {
            lock (_lock)
            {
                return _timer is not null;
            }
        }
    }

    /// <summary>Called before the store holds something.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            _begun++;
            _timer ??= timeProvider.CreateTimer(static renewal => _ = ((OwnerRenewal)renewal!).RenewAsync(), this, interval, interval);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _timer?.Dispose();
            _timer = null;
        }
    }

    private async Task RenewAsync()
    {
        var begun = Interlocked.Read(ref _begun);
        try
        {
            if (await renewAsync().ConfigureAwait(false))
            {
                return;
            }
        }
        catch (Exception)
        {
            // The next turn is before its time is up.
            return;
        }

        lock (_lock)
        {
            if (begun == _begun)
            {
                _timer?.Dispose();
                _timer = null;
            }
        }
    }
}

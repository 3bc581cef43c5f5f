namespace BgSync.Http.Capture;

/// <summary>A sending whose end can be waited for. It costs an object only where somebody waits.</summary>
/// <remarks>Thread-safe; changes, so that it is a field and never copied.</remarks>
internal struct Sending
{
    private static readonly object _running = new();
    private static readonly object _ended = new();

    /// <summary>How it stands, or who waits for it; <see langword="null"/> before the first.</summary>
    private volatile object? _state;

    public readonly bool HasBegun => _state is not null;

    public void Begin() => Change(_running);

    public void End() => Change(_ended);

    /// <summary>Waits for its end, where there is one that goes on.</summary>
    public Task WaitAsync(CancellationToken cancellationToken)
    {
        if (_state is null || _state == _ended)
        {
            return Task.CompletedTask;
        }

        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var before = Interlocked.CompareExchange(ref _state, waiter, _running);
        waiter = before == _running ? waiter : before as TaskCompletionSource;
        return waiter?.Task.WaitAsync(cancellationToken) ?? Task.CompletedTask;
    }

    private void Change(object state) => (Interlocked.Exchange(ref _state, state) as TaskCompletionSource)?.SetResult();
}

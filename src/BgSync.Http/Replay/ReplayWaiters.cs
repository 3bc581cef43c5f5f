namespace BgSync.Http.Replay;

/// <summary>
/// The calls that wait for a replay by hand. One that comes during a replay waits for the next, which has seen its entries.
/// </summary>
internal sealed class ReplayWaiters
{
    private readonly Lock _lock = new();
    private readonly List<TaskCompletionSource> _added = [];
    private readonly List<TaskCompletionSource> _begun = [];

    /// <summary>Whether a look at the queue serves somebody who waits.</summary>
    public bool AreServed
    {
        get
        {
            lock (_lock)
            {
                return _begun.Count > 0;
            }
        }
    }

    public Task Add()
    {
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _added.Add(waiter);
        }

        return waiter.Task;
    }

    /// <summary>A look at the queue begins that serves all who wait by now.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            _begun.AddRange(_added);
            _added.Clear();
        }
    }

    public void Complete() => End(static waiter => waiter.TrySetResult());

    public void Fail(Exception exception) => End(waiter => waiter.TrySetException(exception));

    private void End(Action<TaskCompletionSource> end)
    {
        lock (_lock)
        {
            // Their continuations run elsewhere.
            _begun.ForEach(end);
            _begun.Clear();
        }
    }
}

namespace BgSync.Http.Events;

/// <summary>One caller that waits for its entry to end. It takes what was offered to it along when it is disposed of.</summary>
internal sealed class EntryWaiter(string queue, long id, Action<EntryWaiter> remove) : IDisposable
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _signal = NewSignal();
    private readonly TaskCompletionSource _ended = NewSignal();
    private HttpResponseMessage? _response;
    private bool _isDisposed;

    public string Queue => queue;

    public long EntryId => id;

    /// <summary>Completed when nobody sends any more, so that there is nothing to wait for.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Whether nobody sends any more.</summary>
    public bool IsEnded => _ended.Task.IsCompleted;

    /// <summary>Has the caller look what became of its entry.</summary>
    public void Signal() => Volatile.Read(ref _signal).TrySetResult();

    public void End()
    {
        _ended.TrySetResult();
        Signal();
    }

    /// <summary>Waits for a signal, <paramref name="timeout"/> at most. One that came since the last wait counts.</summary>
    public async Task WaitAsync(TimeSpan timeout, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        await _signal.Task.WaitAsync(timeout, timeProvider, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        // Before the caller looks, so that what happens from here on is another signal.
        Volatile.Write(ref _signal, NewSignal());
    }

    /// <summary>Leaves a response for the caller, who gets it once the entry is settled.</summary>
    /// <returns>Whether the response is the waiter's now.</returns>
    public bool TryOffer(HttpResponseMessage response)
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return false;
            }

            // One is left where an attempt was answered and could not be written down.
            _response?.Dispose();
            _response = response;
            return true;
        }
    }

    /// <summary>Takes the response that was offered, if it is the one of which the receipt speaks.</summary>
    public HttpResponseMessage? TakeResponse(int statusCode)
    {
        lock (_lock)
        {
            if (_response is not { } response || (int)response.StatusCode != statusCode)
            {
                return null;
            }

            _response = null;
            return response;
        }
    }

    public void Dispose()
    {
        remove(this);
        lock (_lock)
        {
            _isDisposed = true;
            _response?.Dispose();
            _response = null;
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

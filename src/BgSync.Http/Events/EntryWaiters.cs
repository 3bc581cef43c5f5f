namespace BgSync.Http.Events;

/// <summary>The callers of this process that wait for their entries to end. Thread-safe.</summary>
internal sealed class EntryWaiters : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, EntryWaiter[]> _waiters = [];
    private bool _isClosed;

    /// <summary>Begins to wait, until the waiter is disposed of.</summary>
    public EntryWaiter Add(string queue, long id)
    {
        var waiter = new EntryWaiter(queue, id, Remove);
        lock (_lock)
        {
            _waiters[id] = [.. Of(id), waiter];
            if (_isClosed)
            {
                waiter.End();
            }
        }

        return waiter;
    }

    public bool IsAwaited(long id)
    {
        lock (_lock)
        {
            return _waiters.ContainsKey(id);
        }
    }

    /// <summary>
    /// Leaves a response for the one who waits for an entry; for the last one, whose request it is, where there are several.
    /// </summary>
    /// <returns>Whether the response is a waiter's now.</returns>
    public bool TryOffer(long id, HttpResponseMessage response)
    {
        lock (_lock)
        {
            return Of(id) is [.., var waiter] && waiter.TryOffer(response);
        }
    }

    /// <summary>Has the callers look that wait for an entry: it has ended.</summary>
    public void Signal(long id)
    {
        lock (_lock)
        {
            Array.ForEach(Of(id), static waiter => waiter.Signal());
        }
    }

    /// <summary>Has all callers look that wait for an entry of a queue.</summary>
    public void SignalAll(string queue)
    {
        lock (_lock)
        {
            foreach (var waiter in _waiters.Values.SelectMany(static waiters => waiters).Where(waiter => waiter.Queue == queue))
            {
                waiter.Signal();
            }
        }
    }

    /// <summary>Lets callers wait again.</summary>
    public void Open()
    {
        lock (_lock)
        {
            _isClosed = false;
        }
    }

    /// <summary>Ends all waits, those that begin later too: nobody sends any more.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            foreach (var waiter in _waiters.Values.SelectMany(static waiters => waiters))
            {
                waiter.End();
            }
        }
    }

    public void Dispose() => Close();

    private EntryWaiter[] Of(long id) => _waiters.GetValueOrDefault(id, []);

    private void Remove(EntryWaiter waiter)
    {
        lock (_lock)
        {
            EntryWaiter[] left = [.. Of(waiter.EntryId).Where(other => other != waiter)];
            if (left.Length == 0)
            {
                _waiters.Remove(waiter.EntryId);
            }
            else
            {
                _waiters[waiter.EntryId] = left;
            }
        }
    }
}

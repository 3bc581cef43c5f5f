using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace BgSync.Http.Events;

/// <summary>The events that wait for one listener. When it is full the oldest is lost, and counted: nobody waits for a listener.</summary>
internal sealed class EntryMailbox : IDisposable
{
    private const int Capacity = 1024;

    private readonly Func<EntryEvent, bool> _accepts;
    private readonly Action<EntryMailbox> _remove;
    private readonly Channel<EntryEvent> _events;
    private long _missed;

    public EntryMailbox(Func<EntryEvent, bool> accepts, Action<EntryMailbox> remove)
    {
        _accepts = accepts;
        _remove = remove;
        _events = Channel.CreateBounded<EntryEvent>(
            new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest },
            _ => Interlocked.Increment(ref _missed));
    }

    /// <summary>Whether no more events come.</summary>
    public bool IsClosed { get; private set; }

    public void Post(EntryEvent entryEvent)
    {
        if (_accepts(entryEvent))
        {
            _events.Writer.TryWrite(entryEvent);
        }
    }

    /// <summary>Waits for events.</summary>
    /// <returns><see langword="false"/> when none is left and no more come.</returns>
    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => _events.Reader.WaitToReadAsync(cancellationToken);

    public bool TryTake([NotNullWhen(true)] out EntryEvent? entryEvent) => _events.Reader.TryRead(out entryEvent);

    /// <summary>How many events were lost since it was last asked.</summary>
    public long TakeMissed() => Interlocked.Exchange(ref _missed, 0);

    /// <summary>No more events come; those that are there can still be taken.</summary>
    public void Close()
    {
        IsClosed = true;
        _events.Writer.TryComplete();
    }

    public void Dispose()
    {
        _remove(this);
        Close();
    }
}

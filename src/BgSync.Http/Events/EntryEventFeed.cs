namespace BgSync.Http.Events;

/// <summary>Puts every event into the mailbox of each who listens. Thread-safe.</summary>
internal sealed class EntryEventFeed : IDisposable
{
    private readonly Lock _lock = new();
    private volatile EntryMailbox[] _mailboxes = [];
    private bool _closed;

    public bool HasListeners => _mailboxes.Length > 0;

    /// <summary>Begins to listen, until the mailbox is disposed of.</summary>
    public EntryMailbox Open(Func<EntryEvent, bool> accepts)
    {
        var mailbox = new EntryMailbox(accepts, Remove);
        lock (_lock)
        {
            if (_closed)
            {
                mailbox.Close();
            }
            else
            {
                _mailboxes = [.. _mailboxes, mailbox];
            }
        }

        return mailbox;
    }

    public void Publish(EntryEvent entryEvent)
    {
        foreach (var mailbox in _mailboxes)
        {
            mailbox.Post(entryEvent);
        }
    }

    /// <summary>Closes all mailboxes: whoever listens is told what is left, and that it was the last.</summary>
    public void Dispose()
    {
        EntryMailbox[] left;
        lock (_lock)
        {
            _closed = true;
            (left, _mailboxes) = (_mailboxes, []);
        }

        Array.ForEach(left, static mailbox => mailbox.Close());
    }

    private void Remove(EntryMailbox mailbox)
    {
        lock (_lock)
        {
            _mailboxes = [.. _mailboxes.Where(other => other != mailbox)];
        }
    }
}

namespace BgSync.Http.Storage.Memory;

/// <summary>A lane that has entries: which one heads it, when that one is due, and its lease.</summary>
internal sealed class MemoryLane
{
    private readonly SortedDictionary<long, MemoryEntry> _entries = [];
    private bool _waitsForBackoff;

    public MemoryLane(MemoryEntry head, DateTimeOffset now)
    {
        _entries.Add(head.Position, head);
        Head = head;
        Wait(head.NotBefore, head.AskedByServer, now);
    }

    public MemoryEntry Head { get; private set; }

    public DateTimeOffset VisibleAt { get; set; }

    public Guid? Token { get; private set; }

    public bool IsLeasing(MemoryEntry entry, DateTimeOffset now) => entry == Head && Token is not null && VisibleAt > now;

    public bool MayBeSentByHand(DateTimeOffset now) => VisibleAt <= now || _waitsForBackoff;

    public StoredEntry Describe(MemoryEntry entry, DateTimeOffset now) =>
        entry == Head
            ? entry.Describe(Token is not null && VisibleAt <= now ? 1 : 0) with { DueAt = VisibleAt, IsLeased = IsLeasing(entry, now) }
            : entry.Describe();

    /// <summary>Says that the head has nothing to wait for any more, but for what the server asked for.</summary>
    public void Release(DateTimeOffset now) => Wait(Head.AskedByServer ? Head.NotBefore : now, Head.AskedByServer, now);

    /// <summary>Adds an entry; one that stands before the head becomes the head unless that is being sent.</summary>
    public void Enter(MemoryEntry entry, DateTimeOffset now)
    {
        _entries.Add(entry.Position, entry);
        if (entry.Position < Head.Position && !IsLeasing(Head, now))
        {
            VoidLeaseOf(Head);
            Head = entry;
            Wait(entry.NotBefore, entry.AskedByServer, now);
        }
    }

    /// <summary>Takes an entry out.</summary>
    /// <returns>Whether the lane is empty now.</returns>
    public bool Remove(MemoryEntry entry, DateTimeOffset now)
    {
        _entries.Remove(entry.Position);
        if (entry == Head && _entries.Count > 0)
        {
            Promote(now);
        }

        return _entries.Count == 0;
    }

    public Guid Lease(DateTimeOffset until)
    {
        VoidLeaseOf(Head);
        var token = Guid.NewGuid();
        Token = token;
        VisibleAt = until;
        _waitsForBackoff = false;
        return token;
    }

    public void EndLease(bool countsAsAttempt)
    {
        Token = null;
        Head.Attempts += countsAsAttempt ? 1 : 0;
    }

    /// <summary>Ends a lease whose time is up: its attempt may have reached the server.</summary>
    public void VoidLeaseOf(MemoryEntry entry)
    {
        if (entry == Head && Token is not null)
        {
            EndLease(countsAsAttempt: true);
        }
    }

    public void Wait(DateTimeOffset until, bool askedByServer, DateTimeOffset now)
    {
        Head.NotBefore = VisibleAt = until > now ? until : now;
        Head.AskedByServer = askedByServer && until > now;
        _waitsForBackoff = !askedByServer && until > now;
    }

    /// <summary>Has an entry wait until a time, as if it had been asked for, unless it was asked for a longer wait already.</summary>
    public void Delay(MemoryEntry entry, DateTimeOffset until, DateTimeOffset now)
    {
        if (entry != Head)
        {
            entry.NotBefore = entry.AskedByServer && entry.NotBefore > until ? entry.NotBefore : until;
            entry.AskedByServer = true;
        }
        else if (_waitsForBackoff || until > VisibleAt)
        {
            Wait(until, askedByServer: true, now);
        }
    }

    public bool ClearBackoff(bool onlyEndless, DateTimeOffset now)
    {
        if (!_waitsForBackoff || VisibleAt <= now || (onlyEndless && VisibleAt < DateTimeOffset.MaxValue))
        {
            return false;
        }

        VisibleAt = now;
        _waitsForBackoff = false;
        return true;
    }

    /// <summary>Lets an entry go first that came to stand before the head while that was being sent.</summary>
    public void YieldToFront(DateTimeOffset now)
    {
        if (_entries.First().Value != Head)
        {
            Promote(now);
        }
    }

    // Due at once, unless the server asked for a wait that is not over.
    private void Promote(DateTimeOffset now)
    {
        Token = null;
        Head = _entries.First().Value;
        Release(now);
    }
}

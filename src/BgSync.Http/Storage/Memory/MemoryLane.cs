namespace BgSync.Http.Storage.Memory;

/// <summary>A lane that has entries: which one heads it, when that one is due, and its lease.</summary>
internal sealed class MemoryLane
{
    private readonly SortedDictionary<long, MemoryEntry> _entries = [];
    private IReadOnlyList<MemoryEntry> _leased = [];
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

    /// <summary>The entries in their order; the first is the head, unless that is being sent.</summary>
    public IEnumerable<MemoryEntry> Entries => _entries.Values;

    public bool IsLeasing(MemoryEntry entry, DateTimeOffset now) => Token is not null && VisibleAt > now && _leased.Contains(entry);

    public bool MayBeSentByHand(DateTimeOffset now) => VisibleAt <= now || _waitsForBackoff;

    public QueuedEntry Describe(MemoryEntry entry, DateTimeOffset now) =>
        entry == Head
            ? entry.Describe(Token is not null && VisibleAt <= now ? 1 : 0) with { DueAt = VisibleAt, IsLeased = IsLeasing(entry, now) }
            : IsLeasing(entry, now) ? entry.Describe() with { DueAt = VisibleAt, IsLeased = true } : entry.Describe();

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
        if (entry != Head)
        {
            VoidLeaseOf(entry);
        }
        else if (_entries.Count > 0)
        {
            Promote(now);
        }

        return _entries.Count == 0;
    }

    /// <param name="entries">The head, and those behind it that are leased with it.</param>
    /// <param name="until">When the lease ends.</param>
    public Guid Lease(IReadOnlyList<MemoryEntry> entries, DateTimeOffset until)
    {
        VoidLeaseOf(Head);
        var token = Guid.NewGuid();
        Hold(entries, until, token);
        return token;
    }

    /// <summary>Takes delivered entries out from the front; what was leased with them stays leased.</summary>
    /// <param name="rest">The first that stays leased.</param>
    /// <param name="remove">Removes the delivered ones.</param>
    public void KeepLease(MemoryEntry rest, Action remove)
    {
        var (leased, until, token) = (_leased, VisibleAt, Token);
        remove();
        Head = rest;
        Hold([.. leased.SkipWhile(entry => entry != rest)], until, token);
    }

    public void EndLease(bool countsAsAttempt)
    {
        Free();
        Head.Attempts += countsAsAttempt ? 1 : 0;
    }

    /// <summary>Ends a lease of an entry whose time is up: the attempt at the head may have reached the server.</summary>
    public void VoidLeaseOf(MemoryEntry entry)
    {
        if (Token is not null && _leased.Contains(entry))
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
        Free();
        Head = _entries.First().Value;
        Release(now);
    }

    private void Hold(IReadOnlyList<MemoryEntry> entries, DateTimeOffset until, Guid? token)
    {
        _leased = entries;
        Token = token;
        VisibleAt = until;
        _waitsForBackoff = false;
    }

    private void Free()
    {
        _leased = [];
        Token = null;
    }
}

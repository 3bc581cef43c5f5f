namespace BgSync.Http.Storage.Memory;

/// <summary>An entry, with the retry state that it has as the head of its lane, or will have.</summary>
internal sealed class MemoryEntry(QueuedEntry written, byte[] body)
{
    private QueuedEntry _written = written;
    private long _edits;

    public long Id => _written.Id;

    public string Queue => _written.Queue;

    public string Lane => _written.Lane;

    public EntryPriority Priority => _written.Priority;

    public string Origin => _written.Request.Origin;

    public DateTimeOffset ExpiresAt => _written.ExpiresAt;

    public string? CoalesceKey => _written.CoalesceKey;

    public long? Prerequisite => _written.Prerequisite;

    public byte[] Body { get; private set; } = body;

    public long Position { get; set; }

    public int Attempts { get; set; }

    public string? LastError { get; set; }

    public DateTimeOffset NotBefore { get; set; }

    public bool AskedByServer { get; set; }

    public List<FailedAttempt> History { get; } = [];

    public void Failed(FailedAttempt attempt)
    {
        History.Add(attempt);
        if (History.Count > FailedAttempt.Kept)
        {
            History.RemoveAt(0);
        }
    }

    /// <param name="lostAttempts">Attempts under leases whose time is up, which nobody has counted yet.</param>
    public QueuedEntry Describe(int lostAttempts = 0) => _written with
    {
        Revision = (_edits << 32) + Attempts + lostAttempts,
        Attempts = Attempts + lostAttempts,
        LastError = LastError,
    };

    public void Replace(QueuedEntry edited, byte[]? body)
    {
        _edits++;
        Body = body ?? Body;
        _written = edited with { Priority = Priority, BodyLength = Body.Length, DueAt = null, IsLeased = false };
        Attempts = edited.Attempts;
        LastError = edited.LastError;
    }

    public void MoveTo(string lane)
    {
        _edits++;
        _written = _written with { Lane = lane };
    }

    public void Requeue(DateTimeOffset expiresAt, DateTimeOffset now)
    {
        _written = _written with { ExpiresAt = expiresAt, CoalesceKey = null };
        Attempts = 0;
        LastError = null;
        NotBefore = now;
        AskedByServer = false;
    }
}

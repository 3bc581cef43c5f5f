using BgSync.Http.Requests;

namespace BgSync.Http.Storage.Memory;

/// <summary>An entry, with the retry state that it has as the head of its lane, or will have.</summary>
internal sealed class MemoryEntry(StoredEntry written, byte[] body)
{
    private StoredEntry _written = written;

    public long Id => _written.Id;

    public string Queue => _written.Queue;

    public string Lane => _written.Lane;

    public EntryPriority Priority => _written.Priority;

    public string Origin => _written.Request.Origin;

    public DateTimeOffset ExpiresAt => _written.ExpiresAt;

    public long Revision => _written.Revision;

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

    public StoredEntry Describe() => _written with { Attempts = Attempts, LastError = LastError };

    public void Replace(StoredEntry edited, byte[]? body)
    {
        Body = body ?? Body;
        _written = _written with
        {
            Revision = Revision + 1,
            Lane = edited.Lane,
            Request = edited.Request,
            BodyLength = Body.Length,
        };
    }

    public void MoveTo(string lane) => _written = _written with { Revision = Revision + 1, Lane = lane };

    public void Requeue(DateTimeOffset expiresAt, DateTimeOffset now)
    {
        _written = _written with { ExpiresAt = expiresAt };
        Attempts = 0;
        LastError = null;
        NotBefore = now;
        AskedByServer = false;
    }
}

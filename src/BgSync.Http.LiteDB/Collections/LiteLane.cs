using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>A lane that has entries: its head, when that is due, its attempts and its lease.</summary>
/// <remarks>
/// A lease covers the head, and the entries behind it up to a position. It is void when its time is up; until another takes the head, or
/// changes what it covers, its holder may still settle it.
/// </remarks>
internal sealed class LiteLane
{
    private readonly LiteQueue _queue;
    private Guid? _storedToken;

    public LiteLane(LiteQueue queue, string name)
    {
        _queue = queue;
        Name = name;
    }

    public string Name { get; }

    public long HeadId { get; private set; }

    public long HeadPosition { get; private set; }

    public string Origin { get; set; } = "";

    /// <summary>When the head may be leased, or the lease of it ends; <see cref="long.MaxValue"/> for never.</summary>
    public long VisibleAt { get; set; }

    public LaneWait Wait { get; set; }

    public int Attempts { get; set; }

    public string? LastError { get; set; }

    public Guid? Token { get; private set; }

    /// <summary>The position of the last entry that the lease covers.</summary>
    public long LeasedTo { get; private set; }

    /// <summary>A lease whose time is up was an attempt, and may have reached the server.</summary>
    public int AttemptsWithLost => Attempts + (Token is null ? 0 : 1);

    public static byte[] KeyOf(LiteQueue queue, string name) => IndexKey.Of(queue.Key, IndexKey.Hash(name));

    public static LiteLane Read(LiteQueue queue, BsonDocument document) => new(queue, document.Text("lane") ?? "")
    {
        HeadId = document.Number("head") ?? 0,
        HeadPosition = document.Number("position") ?? 0,
        Origin = document.Text("origin") ?? "",
        VisibleAt = document.Time("visibleAt"),
        Wait = Enum.TryParse<LaneWait>(document.Text("wait"), out var wait) ? wait : LaneWait.None,
        Attempts = (int)(document.Number("attempts") ?? 0),
        LastError = document.Text("lastError"),
        Token = document.Guid("lease"),
        LeasedTo = document.Number("leasedTo") ?? document.Number("position") ?? 0,
        _storedToken = document.Guid("lease"),
    };

    public BsonDocument Write()
    {
        var document = new BsonDocument
        {
            ["_id"] = KeyOf(_queue, Name),
            ["queue"] = BsonText.Of(_queue.Name),
            ["lane"] = BsonText.Of(Name),
            ["head"] = HeadId,
            ["position"] = HeadPosition,
            ["origin"] = BsonText.Of(Origin),
            ["wait"] = Wait.ToString(),
            ["attempts"] = (long)Attempts,
            ["dueKey"] = LaneCollection.DueKey(_queue, Origin, EntryPosition.BandOf(HeadPosition), VisibleAt, HeadPosition),
        };
        document.Put("visibleAt", BsonTime.Of(VisibleAt));
        document.PutText("lastError", LastError);
        document.Put("lease", Token is { } token ? new BsonValue(token) : null);
        document.PutNumber("leasedTo", Token is null ? null : LeasedTo);
        document.Put(
            "backoffKeys", Wait == LaneWait.Backoff ? new BsonArray { IndexKey.Of(_queue.Key, VisibleAt, HeadPosition) } : null);
        return document;
    }

    /// <summary>Whether the head is being sent, by somebody who still may.</summary>
    public bool IsInFlight(long now) => Token is not null && VisibleAt > now;

    /// <summary>Whether an entry is being sent, by somebody who still may.</summary>
    public bool IsInFlight(Head entry, long now) => IsInFlight(now) && Covers(entry);

    /// <summary>Whether the lease, be its time up or not, covers an entry.</summary>
    public bool Covers(Head entry) =>
        Token is not null && (entry.EntryId == HeadId || (entry.Position > HeadPosition && entry.Position <= LeasedTo));

    public Head ToHead(int attempts) => new(_queue, Name, HeadId, HeadPosition, attempts, LastError);

    public void SetHead(long id, long position, int attempts, string? lastError)
    {
        HeadId = id;
        HeadPosition = position;
        Attempts = attempts;
        LastError = lastError;
    }

    public void SetHead(BsonDocument entry) => SetHead(
        entry["_id"].AsInt64, entry.Number("position") ?? 0, (int)(entry.Number("attempts") ?? 0), entry.Text("lastError"));

    /// <param name="token">The lease.</param>
    /// <param name="until">When its time is up.</param>
    /// <param name="leasedTo">The position of the last entry that it covers.</param>
    public void BeginLease(Guid token, long until, long leasedTo)
    {
        Attempts = AttemptsWithLost;
        VisibleAt = until;
        Wait = LaneWait.None;
        Token = token;
        LeasedTo = leasedTo;
    }

    public void EndLease() => Token = null;

    /// <summary>Ends a lease that was lost.</summary>
    public void VoidLease()
    {
        Attempts = AttemptsWithLost;
        EndLease();
    }

    /// <summary>The lease that is stored, where it is another one than the lane's; <see langword="null"/> where it is not.</summary>
    public Guid? TakeEndedLease()
    {
        var ended = _storedToken != Token ? _storedToken : null;
        _storedToken = Token;
        return ended;
    }
}

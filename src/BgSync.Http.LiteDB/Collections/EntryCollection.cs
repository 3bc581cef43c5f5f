using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The entries of a queue, in a collection of their own.</summary>
internal static class EntryCollection
{
    /// <summary>The order of the queue.</summary>
    public static LiteIndex Position { get; } = new("position");

    /// <summary>The order of each lane.</summary>
    public static LiteIndex Lane { get; } = new("laneKey");

    /// <summary>The order in which entries expire.</summary>
    public static LiteIndex Expiry { get; } = new("expiryKey");

    /// <summary>The entries of a coalescing key, the last one first.</summary>
    public static LiteIndex Coalescing { get; } = new("coalescingKeys", IsOfArray: true);

    /// <summary>The entries that have one as their prerequisite.</summary>
    public static LiteIndex Prerequisite { get; } = new("prerequisiteKeys", IsOfArray: true);

    public static IReadOnlyList<LiteIndex> Indexes { get; } = [Position, Lane, Expiry, Coalescing, Prerequisite];

    /// <summary>Makes the collection of a new queue.</summary>
    public static void Create(LiteSession session, string collection)
    {
        foreach (var index in Indexes)
        {
            session.EnsureIndex(collection, index);
        }
    }

    /// <summary>Writes an entry, under a new id unless one is given.</summary>
    public static long Insert(LiteSession session, LiteQueue queue, EntryRow row, EntryStart start, long? id = null)
    {
        var document = Write(id ?? session.Changes.Ids.Take(session), row, start);
        session.Insert(queue.Collection, document);
        queue.CountDependents(row.Prerequisite is null ? 0 : 1);
        return document["_id"].AsInt64;
    }

    /// <summary>Writes an entry anew, at its place and with its retry state.</summary>
    public static void Update(LiteSession session, LiteQueue queue, BsonDocument before, EntryRow row, EntryStart start)
    {
        session.Update(queue.Collection, Write(before["_id"].AsInt64, row, start));
        queue.CountDependents((row.Prerequisite is null ? 0 : 1) - (before.Number("prerequisite") is null ? 0 : 1));
    }

    public static void Delete(LiteSession session, LiteQueue queue, BsonDocument? document)
    {
        if (document is not null && session.Delete(queue.Collection, document["_id"]))
        {
            queue.CountDependents(document.Number("prerequisite") is null ? 0 : -1);
        }
    }

    /// <summary>Whether the prerequisite of an entry stands before the position at which it stands itself.</summary>
    public static bool IsBlocked(LiteSession session, LiteQueue queue, long? prerequisite, long position) =>
        prerequisite is { } id && FindPosition(session, queue, id) < position;

    /// <summary>Where an entry of a queue stands; <see langword="null"/> when the queue has none of that id.</summary>
    public static long? FindPosition(LiteSession session, LiteQueue queue, long id) =>
        session.Get(queue.Collection, id)?.Number("position");

    /// <summary>The first entry of a lane.</summary>
    public static BsonDocument? FindFirst(LiteSession session, LiteQueue queue, string lane)
    {
        var (first, last) = LaneKeys(lane, long.MinValue, long.MaxValue);
        return session.FirstBetween(queue.Collection, Lane, first, last);
    }

    public static List<BsonDocument> FindDependents(LiteSession session, LiteQueue queue, long id) =>
        queue.Dependents == 0
            ? []
            : session.Between(
                queue.Collection, Prerequisite, IndexKey.Of([], id, long.MinValue), IndexKey.Of([], id, long.MaxValue));

    /// <summary>Whether an entry waits for one, which may have left the queue already.</summary>
    public static bool IsAwaited(LiteSession session, LiteQueue queue, long id) =>
        queue.Dependents > 0
        && session.FirstBetween(
            queue.Collection, Prerequisite, IndexKey.Of([], id, long.MinValue), IndexKey.Of([], id, long.MaxValue)) is not null;

    /// <summary>How many entries are past their retention.</summary>
    public static long CountExpired(LiteSession session, LiteQueue queue, long now) =>
        session.Keys(queue.Collection, Expiry, IndexKey.Of([], long.MinValue), IndexKey.Of([], now)).Count;

    /// <summary>Entries past their retention that are not leased, the first to expire first.</summary>
    public static List<Standing> FindExpired(LiteSession session, LiteQueue queue, int limit, long now) =>
    [
        .. Idle(session, queue, session.Walk(queue.Collection, Expiry, IndexKey.Of([], long.MinValue), IndexKey.Of([], now)), now)
            .Take(limit),
    ];

    /// <summary>Entries that are not leased, the first ones first.</summary>
    public static List<Standing> FindIdle(LiteSession session, LiteQueue queue, int limit, long now) =>
    [
        .. Idle(session, queue, session.Walk(queue.Collection, Position, long.MinValue, long.MaxValue), now).Take(limit),
    ];

    /// <summary>
    /// Entries that are neither leased nor what the new one waits for, in the order in which they are to make room: as many as it takes.
    /// </summary>
    /// <returns><see langword="null"/> when all together do not make enough.</returns>
    public static List<Standing>? FindDisplaced(
        LiteSession session, LiteQueue queue, WhenFull order, QueueExcess excess, long? prerequisite, long now)
    {
        var displaced = new List<Standing>();
        foreach (var entry in Idle(session, queue, InOrderOf(session, queue, order), now))
        {
            if (entry.Head.EntryId == prerequisite)
            {
                continue;
            }

            displaced.Add(entry);
            excess = excess.Without(entry.Document.Number("bodyLength") ?? 0);
            if (excess.IsNone)
            {
                return displaced;
            }
        }

        return null;
    }

    /// <summary>
    /// The excess that keeps a new entry from fitting even if the queue held nothing but what is leased, and what that entry waits for. Few
    /// are, at any length.
    /// </summary>
    public static QueueExcess ExcessWithoutIdle(
        LiteSession session, LiteQueue queue, QueueLimits limits, long newBytes, long? prerequisite, long now)
    {
        var awaited = prerequisite is { } id ? session.Get(queue.Collection, id) : null;
        var entries = LeaseCollection.FindLanes(session, queue)
            .Where(lane => lane.IsInFlight(now))
            .SelectMany(lane => FindLeased(session, queue, lane))
            .Concat(awaited is null ? [] : [awaited])
            .DistinctBy(static entry => entry["_id"].AsInt64)
            .ToList();
        return limits.ExcessOf(entries.Count, entries.Sum(static entry => entry.Number("bodyLength") ?? 0), newBytes);
    }

    /// <summary>The head of a lane, which is its first entry, and those behind it that may be leased with it.</summary>
    public static List<BsonDocument> FindRun(LiteSession session, LiteQueue queue, LiteLane lane, NextLease wanted, long now)
    {
        var (first, last) = LaneKeys(lane.Name, long.MinValue, long.MaxValue);
        var room = wanted.Bytes;
        return session.BetweenWhile(queue.Collection, Lane, first, last, wanted.Limit, entry =>
        {
            room -= entry.Number("bodyLength") ?? 0;
            return entry["_id"].AsInt64 == lane.HeadId || (room >= 0 && MayFollow(entry, wanted.Origin, now));
        });
    }

    public static Standing? FindStanding(LiteSession session, LiteQueue queue, long id, long now) =>
        session.Get(queue.Collection, id) is { } document
            ? Stand(queue, document, LaneCollection.Find(session, queue, document.Text("lane") ?? ""), now)
            : null;

    /// <summary>One entry of a queue; <see langword="null"/> when it is not there.</summary>
    public static DescribedEntry? Describe(LiteSession session, LiteQueue queue, long id, long now) =>
        session.Get(queue.Collection, id) is { } document
            ? DescribedEntry.Of(queue, document, LaneCollection.Find(session, queue, document.Text("lane") ?? ""), now)
            : null;

    /// <summary>The last entry of a queue that has a coalescing key and can be read.</summary>
    public static QueuedEntry? DescribeLast(LiteSession session, LiteQueue queue, string coalesceKey, long now)
    {
        var key = IndexKey.Hash(coalesceKey);
        return session.Between(
                queue.Collection, Coalescing, IndexKey.Of(key, long.MinValue), IndexKey.Of(key, long.MaxValue))
            .Select(document =>
                DescribedEntry.Of(queue, document, LaneCollection.Find(session, queue, document.Text("lane") ?? ""), now).Decode())
            .OfType<QueuedEntry>()
            .FirstOrDefault();
    }

    /// <summary>The next entries of a queue beyond a position.</summary>
    public static List<DescribedEntry> ReadPage(
        LiteSession session, LiteQueue queue, QueueEnd from, long after, int limit, long now)
    {
        var page = from == QueueEnd.Front
            ? session.Between(queue.Collection, Position, after + 1, long.MaxValue, limit)
            : session.Between(queue.Collection, Position, long.MinValue, after - 1, limit, descending: true);
        var lanes = new LaneReader(session, queue);
        return page.ConvertAll(document => DescribedEntry.Of(queue, document, lanes.Find(document), now));
    }

    public static BsonDocument Write(long id, EntryRow row, EntryStart start)
    {
        var document = EntryDocument.Of(row);
        document["_id"] = id;
        document["position"] = start.Position;
        document["attempts"] = (long)start.Attempts;
        document.PutText("lastError", start.LastError);
        document.Put("notBefore", BsonTime.Of(start.NotBefore));
        document["askedByServer"] = start.AskedByServer;
        document["laneKey"] = IndexKey.Of(IndexKey.Hash(row.Lane!), start.Position);
        document["expiryKey"] = IndexKey.Of([], row.ExpiresAt, id);

        // Turned round, for the last one is asked for.
        document.Put(
            "coalescingKeys",
            row.CoalesceKey is { } key ? new BsonArray { IndexKey.Of(IndexKey.Hash(key), ~start.Position) } : null);
        document.Put("prerequisiteKeys", row.Prerequisite is { } prerequisite ? new BsonArray { IndexKey.Of([], prerequisite, id) } : null);
        return document;
    }

    private static (byte[] First, byte[] Last) LaneKeys(string lane, long first, long last)
    {
        var key = IndexKey.Hash(lane);
        return (IndexKey.Of(key, first), IndexKey.Of(key, last));
    }

    private static List<BsonDocument> FindLeased(LiteSession session, LiteQueue queue, LiteLane lane)
    {
        var (first, last) = LaneKeys(lane.Name, lane.HeadPosition, lane.LeasedTo);
        return session.Between(queue.Collection, Lane, first, last);
    }

    private static bool MayFollow(BsonDocument entry, string origin, long now) =>
        entry.Text("origin") == origin
        && entry.Number("prerequisite") is null
        && !(entry.Flag("askedByServer") && entry.Time("notBefore") > now);

    private static IEnumerable<BsonDocument> InOrderOf(LiteSession session, LiteQueue queue, WhenFull order) =>
        order == WhenFull.DropFirstToExpire
            ? session.Walk(queue.Collection, Expiry, IndexKey.Of([], long.MinValue), IndexKey.Of([], long.MaxValue, long.MaxValue))
            : new[] { EntryPriority.Low, EntryPriority.Normal, EntryPriority.High }.SelectMany(priority => session.Walk(
                queue.Collection, Position, EntryPosition.FirstOf(priority), EntryPosition.LastOf(priority)));

    private static IEnumerable<Standing> Idle(LiteSession session, LiteQueue queue, IEnumerable<BsonDocument> documents, long now)
    {
        var lanes = new LaneReader(session, queue);
        return documents.Select(document => Stand(queue, document, lanes.Find(document), now)).Where(static entry => !entry.IsInFlight);
    }

    private static Standing Stand(LiteQueue queue, BsonDocument document, LiteLane? lane, long now)
    {
        var entry = Head.Of(queue, document);
        var ownLane = lane?.HeadId == entry.EntryId ? lane : null;
        var head = ownLane is null ? entry : entry with { Attempts = ownLane.AttemptsWithLost, LastError = ownLane.LastError };
        var notBefore = ownLane?.Wait switch
        {
            LaneWait.AskedFor => ownLane.VisibleAt,
            null or LaneWait.Prerequisite when document.Flag("askedByServer") => document.Time("notBefore"),
            _ => 0,
        };
        return new Standing(
            document,
            head,
            ownLane is not null,
            lane?.IsInFlight(head, now) == true,
            notBefore,
            EntryRow.RevisionOf(document.Number("checksum") ?? 0, head.Attempts));
    }
}

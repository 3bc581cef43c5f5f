using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The leases that are held: few, whatever is queued. The lanes have them too; these are found by their tokens.</summary>
internal static class LeaseCollection
{
    public static void Insert(LiteSession session, LiteQueue queue, string lane, Lease lease) =>
        session.Insert(LiteSchema.Leases, new BsonDocument
        {
            ["_id"] = lease.Token,
            ["owner"] = session.Owner,
            ["queue"] = BsonText.Of(queue.Name),
            ["lane"] = BsonText.Of(lane),
            ["entry"] = lease.EntryId,
        });

    /// <summary>Forgets the lease of a lane that the lane has lost.</summary>
    public static void End(LiteSession session, LiteLane lane)
    {
        if (lane.TakeEndedLease() is { } token)
        {
            session.Delete(LiteSchema.Leases, token);
        }
    }

    /// <summary>The lane whose head is under a lease of an owner; <see langword="null"/> when the lease was lost.</summary>
    public static (LiteQueue Queue, LiteLane Lane)? Find(LiteSession session, Lease lease, Guid owner) =>
        session.Get(LiteSchema.Leases, lease.Token) is { } document
            && document.Guid("owner") == owner
            && FindLane(session, document) is var (queue, lane)
            && lane.Token == lease.Token
            && lane.HeadId == lease.EntryId
            ? (queue, lane)
            : null;

    /// <summary>The lanes of a queue whose heads are leased.</summary>
    public static List<LiteLane> FindLanes(LiteSession session, LiteQueue queue) =>
    [
        .. session.ReadAll(LiteSchema.Leases)
            .Where(document => document.Text("queue") == queue.Name)
            .Select(document => FindLane(session, document)?.Lane)
            .OfType<LiteLane>(),
    ];

    /// <summary>Voids the leases of other owners, which are dead: one store at a time has the file. Their attempts count.</summary>
    /// <returns>How many there were.</returns>
    public static int Void(LiteSession session, Guid owner, long now)
    {
        var voided = 0;
        foreach (var document in session.ReadAll(LiteSchema.Leases).Where(document => document.Guid("owner") != owner))
        {
            if (FindLane(session, document) is var (_, lane) && lane.Token == document.Guid("_id"))
            {
                lane.Attempts = lane.AttemptsWithLost;
                lane.VisibleAt = now;
                lane.Token = null;
                LaneCollection.Save(session, lane);
                voided++;
            }

            session.Delete(LiteSchema.Leases, document["_id"]);
        }

        return voided;
    }

    private static (LiteQueue Queue, LiteLane Lane)? FindLane(LiteSession session, BsonDocument lease) =>
        session.Changes.Queues.Find(session, lease.Text("queue") ?? "") is { } queue
            && LaneCollection.Find(session, queue, lease.Text("lane") ?? "") is { } lane
            ? (queue, lane)
            : null;
}

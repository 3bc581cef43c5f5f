using BgSync.Http.LiteDB.Documents;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The leases that are held: few, whatever is queued. The lanes have them too; these are found by their tokens.</summary>
internal static class LeaseCollection
{
    public static void Insert(LiteSession session, Head head, Guid token) =>
        session.Insert(LiteSchema.Leases, new BsonDocument
        {
            ["_id"] = token,
            ["owner"] = session.Owner,
            ["queue"] = BsonText.Of(head.Queue.Name),
            ["lane"] = BsonText.Of(head.Lane),
        });

    /// <summary>Forgets the lease of a lane that the lane has lost.</summary>
    public static void End(LiteSession session, LiteLane lane)
    {
        if (lane.TakeEndedLease() is { } token)
        {
            session.Delete(LiteSchema.Leases, token);
        }
    }

    /// <summary>The lane that is under a lease of an owner; <see langword="null"/> when the lease was lost.</summary>
    public static (LiteQueue Queue, LiteLane Lane)? Find(LiteSession session, Guid token, Guid owner) =>
        session.Get(LiteSchema.Leases, token) is { } document
            && document.Guid("owner") == owner
            && FindLane(session, document) is var (queue, lane)
            && lane.Token == token
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
                lane.VoidLease();
                lane.VisibleAt = now;
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

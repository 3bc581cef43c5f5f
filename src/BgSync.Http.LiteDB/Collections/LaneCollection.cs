using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The lanes of all queues that have entries.</summary>
internal static class LaneCollection
{
    private const long Never = long.MaxValue;

    // The bands of EntryPosition, the most urgent one first.
    private static readonly long[] _bands = [-1, 0, 1];

    /// <summary>The lanes of a queue by origin, urgency of their heads, and when these are due.</summary>
    public static LiteIndex Due { get; } = new("dueKey");

    /// <summary>The lanes of a queue that wait for their backoff, by its end.</summary>
    public static LiteIndex Backoff { get; } = new("backoffKeys", IsOfArray: true);

    public static byte[] DueKey(LiteQueue queue, string origin, long band, long visibleAt, long position) =>
        IndexKey.Of(IndexKey.Of(queue.Key, IndexKey.Hash(origin)), band, visibleAt, position);

    public static LiteLane? Find(LiteSession session, LiteQueue queue, string lane) =>
        session.Get(LiteSchema.Lanes, LiteLane.KeyOf(queue, lane)) is { } document ? LiteLane.Read(queue, document) : null;

    /// <summary>A lane, if its head is due and addressed to an origin.</summary>
    public static LiteLane? FindDueOf(LiteSession session, LiteQueue queue, string lane, string origin, long now) =>
        Find(session, queue, lane) is { } found && found.Origin == origin && found.VisibleAt <= now ? found : null;

    /// <summary>
    /// Makes an entry the head of its lane if it is alone there or stands before the head, unless that is being sent. The one displaced
    /// keeps its attempts, and its wait if it was asked for, in its own document.
    /// </summary>
    public static void Enter(LiteSession session, LiteQueue queue, EntryRow row, long id, EntryStart start, long now)
    {
        var lane = Find(session, queue, row.Lane!);
        if (lane is null)
        {
            lane = new LiteLane(queue, row.Lane!);
            Take(session, queue, lane, row, id, start, now);
            session.Insert(LiteSchema.Lanes, lane.Write());
        }
        else if (lane.HeadPosition > start.Position && !lane.IsInFlight(now) && TryDisplaceHead(session, queue, lane))
        {
            Take(session, queue, lane, row, id, start, now);
            Save(session, lane);
        }
    }

    /// <summary>
    /// Tells a lane what became of its head by a change, whether that is blocked included, and ends a lease of it whose time is up. A
    /// wait that is asked for takes the place of a backoff, which may be cleared.
    /// </summary>
    public static void Redirect(LiteSession session, LiteQueue queue, EntryRow row, EntryStart start, long now)
    {
        if (Find(session, queue, row.Lane!) is not { } lane)
        {
            return;
        }

        var isBlocked = EntryCollection.IsBlocked(session, queue, row.Prerequisite, start.Position);
        var isAskedToWait = start.NotBefore > now;
        lane.VisibleAt = (isBlocked, lane.Wait) switch
        {
            (true, _) => Never,
            (_, LaneWait.Prerequisite) => Math.Max(start.NotBefore, now),
            (_, LaneWait.Backoff) when isAskedToWait => start.NotBefore,
            _ => Math.Max(lane.VisibleAt, start.NotBefore),
        };
        lane.Wait = (isBlocked, isAskedToWait, lane.Wait) switch
        {
            (true, _, _) => LaneWait.Prerequisite,
            (_, true, _) => LaneWait.AskedFor,
            (_, _, LaneWait.Prerequisite) => LaneWait.None,
            _ => lane.Wait,
        };
        lane.Origin = row.Origin!;
        lane.Attempts = start.Attempts;
        lane.LastError = start.LastError;
        lane.EndLease();
        Save(session, lane);
    }

    /// <summary>
    /// Tells a lane that one of its entries is there no more, or is not what it was. The next one is the head if that was it; a lease
    /// whose time is up is over if it covers that one.
    /// </summary>
    public static void Lose(LiteSession session, Head entry, long now)
    {
        if (Find(session, entry.Queue, entry.Lane) is not { } lane)
        {
            return;
        }

        if (lane.HeadId == entry.EntryId)
        {
            Promote(session, entry.Queue, lane, now);
        }
        else if (lane.Covers(entry))
        {
            lane.VoidLease();
            Save(session, lane);
        }
    }

    /// <summary>
    /// Makes the first entry of a lane its head, or removes the lane if there is none. It is due at once, unless a wait was asked for
    /// that is not over, or its prerequisite stands before it. Ends the lease.
    /// </summary>
    public static void Promote(LiteSession session, LiteQueue queue, LiteLane lane, long now)
    {
        lane.EndLease();
        if (EntryCollection.FindFirst(session, queue, lane.Name) is not { } first)
        {
            LeaseCollection.End(session, lane);
            session.Delete(LiteSchema.Lanes, LiteLane.KeyOf(queue, lane.Name));
            return;
        }

        lane.SetHead(first);
        lane.Origin = first.Text("origin") ?? "";
        if (EntryCollection.IsBlocked(session, queue, first.Number("prerequisite"), lane.HeadPosition))
        {
            Block(lane);
        }
        else
        {
            Unblock(lane, first, now);
        }

        Save(session, lane);
    }

    /// <summary>Makes one of the entries that the lease of a lane covers its head; the lease goes on.</summary>
    public static void Advance(LiteSession session, LiteLane lane, BsonDocument entry)
    {
        lane.SetHead(entry);
        Save(session, lane);
    }

    /// <summary>
    /// Makes the lanes due whose heads waited for an entry that has left its queue, but for waits that were asked for.
    /// </summary>
    public static void Release(LiteSession session, LiteQueue queue, long id, long now)
    {
        foreach (var (dependent, lane) in FindDependents(session, queue, id))
        {
            if (lane.Wait == LaneWait.Prerequisite)
            {
                Unblock(lane, dependent, now);
                Save(session, lane);
            }
        }
    }

    /// <summary>Holds the lanes whose heads wait for an entry that was put back before them.</summary>
    public static void Block(LiteSession session, LiteQueue queue, long id)
    {
        foreach (var (_, lane) in FindDependents(session, queue, id))
        {
            if (lane.Token is null && EntryCollection.IsBlocked(session, queue, id, lane.HeadPosition))
            {
                Block(lane);
                Save(session, lane);
            }
        }
    }

    /// <summary>The lanes that are due: those with urgent heads first, and of these the longest due.</summary>
    public static List<LiteLane> FindDue(LiteSession session, LiteQueue queue, string origin, int limit, long now)
    {
        var lanes = new List<LiteLane>();
        foreach (var band in _bands)
        {
            if (lanes.Count < limit)
            {
                var due = session.Between(
                    LiteSchema.Lanes,
                    Due,
                    DueKey(queue, origin, band, long.MinValue, long.MinValue),
                    DueKey(queue, origin, band, now, long.MaxValue),
                    limit - lanes.Count);
                lanes.AddRange(due.Select(document => LiteLane.Read(queue, document)));
            }
        }

        return lanes;
    }

    /// <summary>A lane whose head is due or waits for its backoff only.</summary>
    public static LiteLane? FindSendable(LiteSession session, LiteQueue queue, string name, long now) =>
        Find(session, queue, name) is { } lane && (lane.VisibleAt <= now || lane.Wait == LaneWait.Backoff) ? lane : null;

    /// <summary>Leases the head of a lane, and those behind it up to a position.</summary>
    public static Head Lease(LiteSession session, LiteLane lane, Guid token, long until, long leasedTo)
    {
        lane.BeginLease(token, until, leasedTo);
        Save(session, lane);
        var head = lane.ToHead(lane.Attempts);
        LeaseCollection.Insert(session, head, token);
        return head;
    }

    public static void Renew(LiteSession session, LiteLane lane, long until)
    {
        lane.VisibleAt = until;
        Save(session, lane);
    }

    /// <summary>Ends the lease of a head and says when it is due again.</summary>
    public static void Reschedule(LiteSession session, LiteQueue queue, LiteLane lane, Settlement.Retry retry, long now)
    {
        lane.VisibleAt = UnixTime.After(now, retry.Delay);
        lane.Wait = retry.Delay <= TimeSpan.Zero ? LaneWait.None : retry.RequestedDelay ? LaneWait.AskedFor : LaneWait.Backoff;
        lane.Attempts += retry.CountsAsAttempt ? 1 : 0;
        lane.LastError = retry.Error ?? lane.LastError;
        lane.EndLease();

        // An entry that came to stand before the head while that was being sent goes first from now on.
        if (EntryCollection.FindFirst(session, queue, lane.Name)?.Number("position") < lane.HeadPosition
            && TryDisplaceHead(session, queue, lane))
        {
            Promote(session, queue, lane, now);
            return;
        }

        Save(session, lane);
    }

    /// <summary>Makes the lanes due that wait for their backoff, or only those of them whose wait has no end.</summary>
    public static int ClearBackoff(LiteSession session, LiteQueue queue, bool onlyEndless, long now)
    {
        var after = onlyEndless ? UnixTime.LastMoment : now;
        var waiting = session.Between(
            LiteSchema.Lanes,
            Backoff,
            IndexKey.Of(queue.Key, after + 1, long.MinValue),
            IndexKey.Of(queue.Key, long.MaxValue, long.MaxValue));
        foreach (var document in waiting)
        {
            var lane = LiteLane.Read(queue, document);
            lane.VisibleAt = now;
            lane.Wait = LaneWait.None;
            Save(session, lane);
        }

        return waiting.Count;
    }

    /// <summary>Each origin that a head is addressed to, found by jumping from one to the next along the index.</summary>
    public static List<OriginSchedule> Schedule(LiteSession session, LiteQueue queue)
    {
        var schedule = new List<OriginSchedule>();
        byte[] after = queue.Key;
        var last = IndexKey.Of(queue.Key, long.MaxValue, long.MaxValue, long.MaxValue, long.MaxValue, long.MaxValue, long.MaxValue);
        while (session.FirstBetween(LiteSchema.Lanes, Due, after, last)?.Text("origin") is { } origin)
        {
            var dueAt = Never;
            foreach (var band in _bands)
            {
                var first = session.FirstBetween(
                    LiteSchema.Lanes,
                    Due,
                    DueKey(queue, origin, band, long.MinValue, long.MinValue),
                    DueKey(queue, origin, band, Never, long.MaxValue));
                dueAt = Math.Min(dueAt, first?.Time("visibleAt") ?? Never);
            }

            schedule.Add(new OriginSchedule(origin, UnixTime.ToTime(dueAt)));
            after = DueKey(queue, origin, long.MaxValue, long.MaxValue, long.MaxValue);
        }

        return schedule;
    }

    public static void Save(LiteSession session, LiteLane lane)
    {
        LeaseCollection.End(session, lane);
        session.Update(LiteSchema.Lanes, lane.Write());
    }

    private static void Block(LiteLane lane)
    {
        lane.VisibleAt = Never;
        lane.Wait = LaneWait.Prerequisite;
    }

    private static void Unblock(LiteLane lane, BsonDocument head, long now)
    {
        var notBefore = head.Flag("askedByServer") ? head.Time("notBefore") : 0;
        lane.VisibleAt = Math.Max(notBefore, now);
        lane.Wait = notBefore > now ? LaneWait.AskedFor : LaneWait.None;
    }

    private static void Take(LiteSession session, LiteQueue queue, LiteLane lane, EntryRow row, long id, EntryStart start, long now)
    {
        lane.EndLease();
        lane.SetHead(id, start.Position, start.Attempts, start.LastError);
        lane.Origin = row.Origin!;
        lane.VisibleAt = Math.Max(start.NotBefore, now);
        lane.Wait = start.NotBefore <= now ? LaneWait.None : start.AskedByServer ? LaneWait.AskedFor : LaneWait.Backoff;
        if (EntryCollection.IsBlocked(session, queue, row.Prerequisite, start.Position))
        {
            Block(lane);
        }
    }

    /// <summary>Writes into the head of a lane what the lane knows of it, for it is to be the head no more.</summary>
    private static bool TryDisplaceHead(LiteSession session, LiteQueue queue, LiteLane lane)
    {
        if (session.Get(queue.Collection, lane.HeadId) is not { } head)
        {
            return false;
        }

        head["attempts"] = (long)lane.AttemptsWithLost;
        head.PutText("lastError", lane.LastError);
        if (lane.Wait != LaneWait.Prerequisite)
        {
            head.Put("notBefore", BsonTime.Of(lane.VisibleAt));
            head["askedByServer"] = lane.Wait == LaneWait.AskedFor;
        }

        session.Update(queue.Collection, head);
        return true;
    }

    /// <summary>The heads that have an entry as their prerequisite, with their lanes.</summary>
    private static List<(BsonDocument Head, LiteLane Lane)> FindDependents(LiteSession session, LiteQueue queue, long id)
    {
        var heads = new List<(BsonDocument, LiteLane)>();
        foreach (var dependent in EntryCollection.FindDependents(session, queue, id))
        {
            if (Find(session, queue, dependent.Text("lane") ?? "") is { } lane && lane.HeadId == dependent["_id"].AsInt64)
            {
                heads.Add((dependent, lane));
            }
        }

        return heads;
    }
}

using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The requests that are being sent for the first time. No other collection knows of them but that of their bodies.</summary>
internal static class WriteAheadCollection
{
    public static long Insert(LiteSession session, bool isRepeatable, EntryRow row, EntryStart start)
    {
        var id = session.Changes.Ids.Take(session);
        var document = EntryDocument.Of(row);
        document["_id"] = id;
        document["owner"] = session.Owner;
        document["repeatable"] = isRepeatable;
        document["position"] = start.Position;
        document.Put("notBefore", BsonTime.Of(start.NotBefore));
        document["askedByServer"] = start.AskedByServer;
        session.Insert(LiteSchema.WriteAheads, document);
        return id;
    }

    /// <summary>A request that this store holds.</summary>
    /// <returns>The row and its position; <see langword="null"/> when it holds no such request.</returns>
    public static (EntryRow Row, long Position)? Find(LiteSession session, long id) =>
        session.Get(LiteSchema.WriteAheads, id) is { } document && document.Guid("owner") == session.Owner
            ? (EntryDocument.ToRow(document), document.Number("position") ?? 0)
            : null;

    public static void Delete(LiteSession session, long id) => session.Delete(LiteSchema.WriteAheads, id);

    /// <summary>Puts a request that was written ahead into its queue.</summary>
    /// <returns>The entry's id.</returns>
    public static long Enter(LiteSession session, LiteQueue queue, EntryRow row, EntryStart start, long now)
    {
        queue.Enter(row.BodyLength);
        var id = EntryCollection.Insert(session, queue, row, start);
        LaneCollection.Enter(session, queue, row, id, start, now);
        return id;
    }

    /// <summary>
    /// Moves what other owners wrote ahead into its queues: they are dead, for one store at a time has the file. The attempt counts,
    /// because it may have reached the server. What must not be sent twice becomes a dead letter.
    /// </summary>
    public static ReclaimedWork Reclaim(LiteSession session, long now)
    {
        var entries = new List<QueuedEntry>();
        var deadLetters = new List<DeadLetter>();

        // Ids first, so that the bodies of all are never in memory at once.
        foreach (var id in session.Keys(LiteSchema.WriteAheads, LiteIndex.Id, long.MinValue, long.MaxValue))
        {
            if (session.Get(LiteSchema.WriteAheads, id) is not { } document || document.Guid("owner") == session.Owner)
            {
                continue;
            }

            session.Delete(LiteSchema.WriteAheads, id);
            var row = EntryDocument.ToRow(document);
            if (row.Queue is null || row.Lane is null || row.Origin is null)
            {
                continue;
            }

            var queue = session.Changes.Queues.Open(session, row.Queue);
            var start = new EntryStart(
                document.Number("position") ?? 0,
                1,
                ReclaimedWork.Interrupted,
                document.Time("notBefore"),
                document.Flag("askedByServer"));
            if (!document.Flag("repeatable"))
            {
                deadLetters.Add(MoveToDeadLetters(session, queue, document, row, start, now));
                continue;
            }

            var entryId = Enter(session, queue, row, start, now);
            AttemptCollection.Insert(session, entryId, now, statusCode: null, start.LastError);
            if (row.Decode(entryId, start.Attempts, start.LastError, out _) is { } entry)
            {
                entries.Add(entry);
            }
        }

        return new ReclaimedWork(0, entries, deadLetters);
    }

    private static DeadLetter MoveToDeadLetters(
        LiteSession session, LiteQueue queue, BsonDocument document, EntryRow row, EntryStart start, long now)
    {
        var head = new Head(
            queue, row.Lane!, session.Changes.Ids.Take(session), start.Position, start.Attempts, start.LastError);
        var deadLettered = new Settlement.DeadLettered(DeadLetterCause.MaybeProcessed, start.LastError);
        AttemptCollection.Insert(session, head.EntryId, now, statusCode: null, start.LastError);
        DeadLetterCollection.Insert(session, head, document, deadLettered, now);
        ReceiptCollection.Insert(session, head, deadLettered, now);
        return DeadLetterCollection.Read(
            DeadLetterCollection.Find(session, queue, head.EntryId)!, AttemptCollection.Read(session, head.EntryId));
    }
}

using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The dead letters of all queues, each with its own copy of the entry.</summary>
internal static class DeadLetterCollection
{
    /// <summary>The dead letters of a queue, in the order of dying.</summary>
    public static LiteIndex Order { get; } = new("orderKey");

    /// <summary>Copies an entry as it is stored, readable or not; where it is gone, the letter says at least that there was one.</summary>
    public static void Insert(LiteSession session, Head head, BsonDocument? entry, DeathCertificate death, long now)
    {
        var document = entry is null ? [] : EntryDocument.Copy(entry);
        document["_id"] = head.EntryId;

        // Nothing but the lane is sure of an entry that cannot be read.
        document.PutText("queue", head.Queue.Name);
        document.PutText("lane", head.Lane);
        document["reason"] = death.Reason.ToString();
        document.PutText("error", death.Error);
        document.PutNumber("statusCode", death.StatusCode);
        document.Put("reply", ReplyDocument.Of(death.Reply));
        document.Put("diedAt", BsonTime.Of(now));
        document["attempts"] = (long)head.Attempts;
        document.PutText("lastError", head.LastError);
        document["orderKey"] = IndexKey.Of(head.Queue.Key, head.Queue.TakeDeath());
        session.Upsert(LiteSchema.DeadLetters, document);
        head.Queue.CountDead(+1);
    }

    public static BsonDocument? Find(LiteSession session, LiteQueue queue, long id) =>
        session.Get(LiteSchema.DeadLetters, id) is { } document && document.Text("queue") == queue.Name ? document : null;

    public static void Delete(LiteSession session, LiteQueue queue, long id)
    {
        session.Delete(LiteSchema.DeadLetters, id);
        queue.CountDead(-1);
    }

    /// <summary>The first dead letters of a queue to die, after one that is known.</summary>
    public static List<BsonDocument> FindFirst(LiteSession session, LiteQueue queue, int limit, BsonValue? from = null) =>
        session.Between(
            LiteSchema.DeadLetters, Order, from ?? IndexKey.Of(queue.Key, long.MinValue), IndexKey.Of(queue.Key, long.MaxValue), limit);

    public static DeadLetter Read(BsonDocument document, IReadOnlyList<FailedAttempt> history)
    {
        var id = document["_id"].AsInt64;
        var statusCode = (int?)document.Number("statusCode");
        return new DeadLetter
        {
            Id = id,
            Queue = document.Text("queue") ?? "",
            Entry = EntryDocument.ToRow(document).Decode(
                id, (int)(document.Number("attempts") ?? 0), document.Text("lastError"), out _),
            Reason = Enum.TryParse<DeadLetterReason>(document.Text("reason"), out var reason) ? reason : DeadLetterReason.Unreadable,
            Error = document.Text("error"),
            StatusCode = statusCode,
            Reply = ReplyDocument.Read(document, statusCode),
            History = history,
            DiedAt = UnixTime.ToTime(document.Time("diedAt")),
        };
    }
}

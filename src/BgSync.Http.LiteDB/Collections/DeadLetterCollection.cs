using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The dead letters of all queues, each with its own copy of the entry.</summary>
internal static class DeadLetterCollection
{
    /// <summary>The dead letters of a queue, in the order in which they became that.</summary>
    public static LiteIndex Order { get; } = new("orderKey");

    /// <summary>Copies an entry as it is stored, readable or not; where it is gone, the letter says at least that there was one.</summary>
    public static void Insert(LiteSession session, Head head, BsonDocument? entry, Settlement.DeadLettered deadLettered, long now)
    {
        var document = entry is null ? [] : EntryDocument.Copy(entry);
        document["_id"] = head.EntryId;

        // Nothing but the lane is sure of an entry that cannot be read.
        document.PutText("queue", head.Queue.Name);
        document.PutText("lane", head.Lane);
        document["reason"] = deadLettered.Cause.ToString();
        document.PutText("error", deadLettered.Error);
        document.PutNumber("statusCode", deadLettered.StatusCode);
        document.Put("reply", ResponseDocument.Of(deadLettered.Response));
        document.Put("diedAt", BsonTime.Of(now));
        document["attempts"] = (long)head.Attempts;
        document.PutText("lastError", head.LastError);
        document["orderKey"] = IndexKey.Of(head.Queue.Key, head.Queue.TakeDeadLetterOrdinal());
        session.Upsert(LiteSchema.DeadLetters, document);
        head.Queue.CountDeadLetters(+1);
    }

    public static BsonDocument? Find(LiteSession session, LiteQueue queue, long id) =>
        session.Get(LiteSchema.DeadLetters, id) is { } document && document.Text("queue") == queue.Name ? document : null;

    public static void Delete(LiteSession session, LiteQueue queue, long id)
    {
        session.Delete(LiteSchema.DeadLetters, id);
        queue.CountDeadLetters(-1);
    }

    /// <summary>The oldest dead letters of a queue, after one that is known.</summary>
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
            Cause = Enum.TryParse<DeadLetterCause>(document.Text("reason"), out var cause) ? cause : DeadLetterCause.Unreadable,
            Error = document.Text("error"),
            StatusCode = statusCode,
            Response = ResponseDocument.Read(document, statusCode),
            History = history,
            DeadLetteredAt = UnixTime.ToTime(document.Time("diedAt")),
        };
    }
}

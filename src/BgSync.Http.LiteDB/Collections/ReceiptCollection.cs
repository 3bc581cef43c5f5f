using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>How the entries of all queues ended.</summary>
internal static class ReceiptCollection
{
    /// <summary>How the file says <see cref="ReceiptState.DeadLettered"/>.</summary>
    private const string DeadLettered = "Dead";

    /// <summary>The receipts of a queue, the oldest first.</summary>
    public static LiteIndex Age { get; } = new("ageKey");

    /// <summary>Notes that an entry was delivered.</summary>
    public static void Insert(LiteSession session, Head head, Settlement.Delivered delivery, long now) =>
        Insert(session, head, ReceiptState.Delivered, now, null, null, delivery.StatusCode, delivery.Response);

    /// <summary>Notes that an entry was delivered, and no more, if another one waits for it.</summary>
    public static void InsertIfAwaited(LiteSession session, Head head, long now)
    {
        if (EntryCollection.IsAwaited(session, head.Queue, head.EntryId))
        {
            Insert(session, head, ReceiptState.Delivered, now, null, null, null, null);
        }
    }

    /// <summary>Notes that an entry became a dead letter.</summary>
    public static void Insert(LiteSession session, Head head, Settlement.DeadLettered deadLettered, long now) =>
        Insert(
            session,
            head,
            ReceiptState.DeadLettered,
            now,
            deadLettered.Cause,
            deadLettered.Error,
            deadLettered.StatusCode,
            deadLettered.Response);

    /// <summary>The state of an entry, ended or not: the queue itself knows better than a receipt, and a dead letter no less.</summary>
    public static Receipt? Find(LiteSession session, LiteQueue queue, long id) =>
        FindQueued(session, queue, id) ?? FindEnded(session, queue, id) ?? FindDeadLetter(session, queue, id);

    public static void Delete(LiteSession session, long id) => session.Delete(LiteSchema.Receipts, id);

    /// <summary>Deletes the oldest receipts of a queue, but for those that a pending entry waits for.</summary>
    /// <returns>How many were deleted.</returns>
    public static int Forget(LiteSession session, LiteQueue queue, long before, int limit)
    {
        var forgotten = session.Walk(
                LiteSchema.Receipts, Age, IndexKey.Of(queue.Key, long.MinValue), IndexKey.Of(queue.Key, before))
            .Select(static receipt => receipt["_id"].AsInt64)
            .Where(id => !EntryCollection.IsAwaited(session, queue, id))
            .Take(limit)
            .ToList();
        forgotten.ForEach(id => Delete(session, id));
        return forgotten.Count;
    }

    private static void Insert(
        LiteSession session,
        Head head,
        ReceiptState state,
        long now,
        DeadLetterCause? cause,
        string? error,
        int? statusCode,
        StoredResponse? response)
    {
        var document = new BsonDocument
        {
            ["_id"] = head.EntryId,
            ["queue"] = BsonText.Of(head.Queue.Name),
            ["state"] = state == ReceiptState.DeadLettered ? DeadLettered : state.ToString(),
            ["at"] = BsonTime.Of(now),
            ["ageKey"] = IndexKey.Of(head.Queue.Key, now, head.EntryId),
        };
        document.PutText("reason", cause?.ToString());
        document.PutText("error", error);
        document.PutNumber("statusCode", statusCode);
        document.Put("reply", ResponseDocument.Of(response));
        session.Upsert(LiteSchema.Receipts, document);
    }

    private static Receipt? FindQueued(LiteSession session, LiteQueue queue, long id) =>
        session.Get(queue.Collection, id) is { } entry
            ? new Receipt { Id = id, Queue = queue.Name, State = ReceiptState.Queued, At = UnixTime.ToTime(entry.Time("timestamp")) }
            : null;

    private static Receipt? FindEnded(LiteSession session, LiteQueue queue, long id)
    {
        if (session.Get(LiteSchema.Receipts, id) is not { } document || document.Text("queue") != queue.Name)
        {
            return null;
        }

        var statusCode = (int?)document.Number("statusCode");
        return new Receipt
        {
            Id = id,
            Queue = queue.Name,
            State = Enum.TryParse<ReceiptState>(document.Text("state"), out var state) ? state : ReceiptState.DeadLettered,
            At = UnixTime.ToTime(document.Time("at")),
            Cause = Enum.TryParse<DeadLetterCause>(document.Text("reason"), out var cause) ? cause : null,
            Error = document.Text("error"),
            StatusCode = statusCode,
            Response = ResponseDocument.Read(document, statusCode),
        };
    }

    private static Receipt? FindDeadLetter(LiteSession session, LiteQueue queue, long id)
    {
        if (DeadLetterCollection.Find(session, queue, id) is not { } document)
        {
            return null;
        }

        var letter = DeadLetterCollection.Read(document, []);
        return new Receipt
        {
            Id = id,
            Queue = queue.Name,
            State = ReceiptState.DeadLettered,
            At = letter.DeadLetteredAt,
            Cause = letter.Cause,
            Error = letter.Error,
            StatusCode = letter.StatusCode,
            Response = letter.Response,
        };
    }
}

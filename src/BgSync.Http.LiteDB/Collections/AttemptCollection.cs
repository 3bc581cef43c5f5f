using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The last failed attempts at entries and dead letters: a document for each that has some, so that the entry itself stays.</summary>
internal static class AttemptCollection
{
    /// <summary>Writes one down, and forgets the one that is too many.</summary>
    public static void Insert(LiteSession session, long entryId, long at, int? statusCode, string? error)
    {
        var document = session.Get(LiteSchema.Attempts, entryId) ?? new BsonDocument { ["_id"] = entryId };
        var attempt = new BsonDocument();
        attempt.Put("at", BsonTime.Of(at));
        attempt.PutNumber("statusCode", statusCode);
        attempt.PutText("error", error);
        document["attempts"] = new BsonArray((document.Array("attempts") ?? []).TakeLast(FailedAttempt.Kept - 1).Append(attempt));
        session.Upsert(LiteSchema.Attempts, document);
    }

    public static void Delete(LiteSession session, long entryId) => session.Delete(LiteSchema.Attempts, entryId);

    /// <summary>The attempts at one entry or dead letter, oldest first.</summary>
    public static List<FailedAttempt> Read(LiteSession session, long entryId) =>
    [
        .. (session.Get(LiteSchema.Attempts, entryId)?.Array("attempts") ?? [])
            .Where(static attempt => attempt.IsDocument)
            .Select(static attempt => Read(attempt.AsDocument)),
    ];

    private static FailedAttempt Read(BsonDocument attempt) => new(
        UnixTime.ToTime(attempt.Time("at")), (int?)attempt.Number("statusCode"), attempt.Text("error"));
}

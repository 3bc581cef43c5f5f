using BgSync.Http.LiteDB.Documents;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>An entry as the head of its lane that it is, or would be.</summary>
internal sealed record Head(LiteQueue Queue, string Lane, long EntryId, long Position, int Attempts, string? LastError)
{
    /// <summary>An entry as it is when it becomes the head.</summary>
    public static Head Of(LiteQueue queue, BsonDocument entry) => new(
        queue,
        entry.Text("lane") ?? "",
        entry["_id"].AsInt64,
        entry.Number("position") ?? 0,
        (int)(entry.Number("attempts") ?? 0),
        entry.Text("lastError"));
}

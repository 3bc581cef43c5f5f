using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>An entry with what its lane knows of it; decoded by whoever asked, for the one thread of the database is everybody's.</summary>
/// <param name="Document">The entry.</param>
/// <param name="Attempts">Its attempts.</param>
/// <param name="LastError">The last failure.</param>
/// <param name="DueAt">When it is due; <see langword="null"/> when it waits for another one.</param>
/// <param name="IsLeased">Whether it is being sent.</param>
internal sealed record DescribedEntry(BsonDocument Document, int Attempts, string? LastError, long? DueAt, bool IsLeased)
{
    public long Position => Document.Number("position") ?? 0;

    public long BodyBytes => Document.Bytes("body")?.Length ?? 0;

    public static DescribedEntry Of(LiteQueue queue, BsonDocument document, LiteLane? lane, long now)
    {
        var entry = Head.Of(queue, document);
        var isLeased = lane?.IsInFlight(entry, now) == true;
        if (lane?.HeadId != entry.EntryId)
        {
            return new(document, entry.Attempts, entry.LastError, isLeased ? lane?.VisibleAt : null, isLeased);
        }

        // A lease whose time is up was an attempt, though nobody has counted it yet.
        return new(
            document,
            isLeased ? lane.Attempts : lane.AttemptsWithLost,
            lane.LastError,
            lane.Wait == LaneWait.Prerequisite ? null : lane.VisibleAt,
            isLeased);
    }

    /// <returns><see langword="null"/> when it cannot be read.</returns>
    public QueuedEntry? Decode()
    {
        var entry = EntryDocument.ToRow(Document).Decode(Document["_id"].AsInt64, Attempts, LastError, out _);
        return entry is null || DueAt is not { } dueAt ? entry : entry with { DueAt = UnixTime.ToTime(dueAt), IsLeased = IsLeased };
    }
}

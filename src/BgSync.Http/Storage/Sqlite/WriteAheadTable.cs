using BgSync.Http.Outcomes;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The requests that are being sent for the first time. No other table knows of them but that of their bodies.</summary>
internal static class WriteAheadTable
{
    /// <summary>Writes a request, under a new id unless one is given.</summary>
    public static long Insert(SqliteSession session, Guid owner, bool isRepeatable, EntryRow row, EntryStart start, long? id = null)
    {
        session.Execute(
            $"""
            INSERT INTO held (id, owner, repeatable, position, not_before, asked_by_server, {SqliteSchema.EntryColumns})
            VALUES ($id, $owner, $repeatable, $position, $not_before, $asked_by_server, {SqliteSchema.EntryParameters})
            """,
            row.Parameters(
                ("$id", id),
                ("$owner", owner.ToByteArray()),
                ("$repeatable", isRepeatable),
                ("$position", start.Position),
                ("$not_before", start.NotBefore),
                ("$asked_by_server", start.AskedByServer)));
        return id ?? session.LastInsertId;
    }

    /// <summary>A request that an owner holds.</summary>
    /// <returns>The row and its position; <see langword="null"/> when the owner holds no such request.</returns>
    public static (EntryRow Row, long Position)? Find(SqliteSession session, Guid owner, long id)
    {
        using var reader = session.Query(
            $"SELECT position, {SqliteSchema.EntryColumns} FROM held WHERE id = $id AND owner = $owner",
            ("$id", id), ("$owner", owner.ToByteArray()));
        return reader.Read() ? (EntryColumns.Read(reader, 1), reader.GetInt64(0)) : null;
    }

    public static void Delete(SqliteSession session, long id) => session.Execute("DELETE FROM held WHERE id = $id", ("$id", id));

    /// <summary>Puts a request that was written ahead into its queue.</summary>
    /// <returns>The entry's id.</returns>
    public static long Enter(SqliteSession session, EntryRow row, EntryStart start, long now)
    {
        QueueTable.CountIn(session, row.Queue!, row.BodyLength);
        var id = EntryTable.Insert(session, row, start);
        LaneTable.Enter(session, row, id, start, now);
        return id;
    }

    /// <summary>The owners of requests written ahead.</summary>
    public static List<Guid> FindOwners(SqliteSession session) => OwnerColumn.FindOwners(session, "held", "owner");

    /// <summary>
    /// Moves what a dead owner wrote ahead into its queues; the attempt counts, because it may have reached the server. What must not be
    /// sent twice becomes a dead letter.
    /// </summary>
    public static ReclaimedWork Reclaim(SqliteSession session, Guid owner, long now)
    {
        var entries = new List<QueuedEntry>();
        var deadLetters = new List<DeadLetter>();
        while (FindFirst(session, owner) is var (id, isRepeatable, row, start))
        {
            Delete(session, id);
            if (!isRepeatable)
            {
                deadLetters.Add(MoveToDeadLetters(session, row, start, now));
            }
            else
            {
                var entryId = Enter(session, row, start, now);
                AttemptTable.Insert(session, entryId, now, statusCode: null, start.LastError);
                if (row.Decode(entryId, start.Attempts, start.LastError, out _) is { } entry)
                {
                    entries.Add(entry);
                }
            }
        }

        return new ReclaimedWork(0, entries, deadLetters);
    }

    private static DeadLetter MoveToDeadLetters(SqliteSession session, EntryRow row, EntryStart start, long now)
    {
        var id = EntryTable.Insert(session, row, start);
        var head = new LaneTable.Head(row.Queue!, row.Lane!, id, start.Position, start.Attempts, start.LastError);
        var deadLettered = new Settlement.DeadLettered(DeadLetterCause.MaybeProcessed, start.LastError);
        AttemptTable.Insert(session, id, now, statusCode: null, start.LastError);
        DeadLetterTable.Insert(session, head, deadLettered, now);
        ReceiptTable.Insert(session, head.Queue, id, deadLettered, now);
        EntryTable.Delete(session, id);
        return DeadLetterTable.Find(session, head.Queue, id)!;
    }

    // One at a time, so that the bodies of all are never in memory at once.
    private static (long Id, bool IsRepeatable, EntryRow Row, EntryStart Start)? FindFirst(SqliteSession session, Guid owner)
    {
        using var reader = session.Query(
            $"""
            SELECT id, repeatable, position, not_before, asked_by_server, {SqliteSchema.EntryColumns} FROM held
            WHERE owner = $owner ORDER BY id LIMIT 1
            """,
            ("$owner", owner.ToByteArray()));
        return reader.Read()
            ? (reader.GetInt64(0),
                reader.GetBoolean(1),
                EntryColumns.Read(reader, 5),
                new EntryStart(reader.GetInt64(2), 1, ReclaimedWork.Interrupted, reader.GetInt64(3), reader.GetBoolean(4)))
            : null;
    }
}

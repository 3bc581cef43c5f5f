using BgSync.Http.Outcomes;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>How the entries of all queues ended.</summary>
internal static class ReceiptTable
{
    public const string Columns = "queue, state, at, reason, error, status_code, " + ResponseColumns.Names;

    public const string Parameters = "$queue, $state, $at, $reason, $error, $status_code, " + ResponseColumns.Parameters;

    /// <summary>Notes that an entry was delivered.</summary>
    public static void Insert(SqliteSession session, string queue, long id, Settlement.Delivered delivery, long now) =>
        Insert(session, queue, id, ReceiptState.Delivered, now, null, null, delivery.StatusCode, delivery.Response);

    /// <summary>Notes that an entry was delivered, and no more, if another one waits for it.</summary>
    public static void InsertIfAwaited(SqliteSession session, string queue, long id, long now)
    {
        if (session.QueryInt64("SELECT 1 FROM entry WHERE prerequisite = $id LIMIT 1", ("$id", id)) is not null)
        {
            Insert(session, queue, id, ReceiptState.Delivered, now, null, null, null, null);
        }
    }

    /// <summary>Notes that an entry died.</summary>
    public static void Insert(SqliteSession session, string queue, long id, Settlement.DeadLettered deadLettered, long now) =>
        Insert(
            session,
            queue,
            id,
            ReceiptState.DeadLettered,
            now,
            deadLettered.Cause,
            deadLettered.Error,
            deadLettered.StatusCode,
            deadLettered.Response);

    /// <summary>The state of an entry, ended or not: the queue itself knows better than a receipt, and a dead letter no less.</summary>
    public static Receipt? Find(SqliteSession session, string queue, long id) =>
        FindQueued(session, queue, id) ?? FindEnded(session, queue, id) ?? FindDead(session, queue, id);

    public static void Delete(SqliteSession session, long id) => session.Execute("DELETE FROM receipt WHERE id = $id", ("$id", id));

    /// <summary>Deletes the oldest receipts of a queue, but for those that a live entry waits for.</summary>
    /// <returns>How many were deleted.</returns>
    public static int Forget(SqliteSession session, string queue, long before, int limit) =>
        session.Execute(
            """
            DELETE FROM receipt WHERE id IN (
                SELECT id FROM receipt
                WHERE queue = $queue AND at < $before AND NOT EXISTS (SELECT 1 FROM entry WHERE prerequisite = receipt.id)
                ORDER BY at LIMIT $limit)
            """,
            ("$queue", queue), ("$before", before), ("$limit", limit));

    private static void Insert(
        SqliteSession session,
        string queue,
        long id,
        ReceiptState state,
        long now,
        DeadLetterCause? cause,
        string? error,
        int? statusCode,
        StoredResponse? response) =>
        session.Execute(
            $"INSERT OR REPLACE INTO receipt (id, {Columns}) VALUES ($id, {Parameters})",
            [
                ("$id", id),
                ("$queue", queue),
                ("$state", (long)state),
                ("$at", now),
                ("$reason", (long?)cause),
                ("$error", error),
                ("$status_code", statusCode),
                .. ResponseColumns.ValuesOf(response),
            ]);

    private static Receipt? FindQueued(SqliteSession session, string queue, long id) =>
        session.QueryInt64("SELECT timestamp FROM entry WHERE id = $id AND queue = $queue", ("$id", id), ("$queue", queue)) is { } at
            ? new Receipt { Id = id, Queue = queue, State = ReceiptState.Queued, At = UnixTime.ToTime(at) }
            : null;

    private static Receipt? FindEnded(SqliteSession session, string queue, long id)
    {
        using var reader = session.Query(
            $"SELECT {Columns} FROM receipt WHERE id = $id AND queue = $queue", ("$id", id), ("$queue", queue));
        if (!reader.Read())
        {
            return null;
        }

        int? statusCode = reader.IsDBNull(5) ? null : reader.GetInt32(5);
        return new Receipt
        {
            Id = id,
            Queue = queue,
            State = (ReceiptState)reader.GetInt32(1),
            At = UnixTime.ToTime(reader.GetInt64(2)),
            Cause = reader.IsDBNull(3) ? null : (DeadLetterCause)reader.GetInt32(3),
            Error = reader.IsDBNull(4) ? null : reader.GetString(4),
            StatusCode = statusCode,
            Response = ResponseColumns.Read(reader, 6, statusCode),
        };
    }

    private static Receipt? FindDead(SqliteSession session, string queue, long id) =>
        DeadLetterTable.Find(session, queue, id) is { } letter
            ? new Receipt
            {
                Id = id,
                Queue = queue,
                State = ReceiptState.DeadLettered,
                At = letter.DeadLetteredAt,
                Cause = letter.Cause,
                Error = letter.Error,
                StatusCode = letter.StatusCode,
                Response = letter.Response,
            }
            : null;
}

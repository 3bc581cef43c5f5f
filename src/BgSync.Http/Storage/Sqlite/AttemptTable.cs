using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The last failed attempts at entries and dead letters, numbered by entry.</summary>
internal static class AttemptTable
{
    /// <summary>Writes one down, and forgets the one that is too many.</summary>
    public static void Insert(SqliteSession session, long entryId, long at, int? statusCode, string? error)
    {
        session.Execute(
            """
            INSERT INTO attempt (entry_id, number, at, status_code, error)
            SELECT $id, ifnull(max(number), 0) + 1, $at, $status_code, $error FROM attempt WHERE entry_id = $id
            """,
            ("$id", entryId), ("$at", at), ("$status_code", statusCode), ("$error", error));
        session.Execute(
            """
            DELETE FROM attempt
            WHERE entry_id = $id AND number <= (SELECT max(number) FROM attempt WHERE entry_id = $id) - $kept
            """,
            ("$id", entryId), ("$kept", FailedAttempt.Kept));
    }

    public static void Delete(SqliteSession session, long entryId) =>
        session.Execute("DELETE FROM attempt WHERE entry_id = $id", ("$id", entryId));

    /// <summary>The attempts at one entry or dead letter of a queue, oldest first.</summary>
    public static List<FailedAttempt> Read(SqliteSession session, string queue, long entryId)
    {
        using var reader = session.Query(
            """
            SELECT at, status_code, error FROM attempt
            WHERE entry_id = $id
                AND (EXISTS (SELECT 1 FROM entry WHERE id = $id AND queue = $queue)
                    OR EXISTS (SELECT 1 FROM dead_letter WHERE id = $id AND queue = $queue))
            ORDER BY number
            """,
            ("$id", entryId), ("$queue", queue));
        var attempts = new List<FailedAttempt>();
        while (reader.Read())
        {
            attempts.Add(Read(reader, 0));
        }

        return attempts;
    }

    /// <summary>The attempts at the dead letters of a queue between two ordinals, by entry, oldest first.</summary>
    /// <param name="session">A connection.</param>
    /// <param name="queue">The queue's name.</param>
    /// <param name="after">The ordinal before the first one.</param>
    /// <param name="last">The last one.</param>
    public static ILookup<long, FailedAttempt> ReadOfDeadLetters(SqliteSession session, string queue, long after, long last)
    {
        using var reader = session.Query(
            """
            SELECT attempt.entry_id, attempt.at, attempt.status_code, attempt.error
            FROM dead_letter CROSS JOIN attempt ON attempt.entry_id = dead_letter.id
            WHERE dead_letter.queue = $queue AND dead_letter.ordinal > $after AND dead_letter.ordinal <= $last
            ORDER BY dead_letter.ordinal, attempt.number
            """,
            ("$queue", queue), ("$after", after), ("$last", last));
        var attempts = new List<(long EntryId, FailedAttempt Attempt)>();
        while (reader.Read())
        {
            attempts.Add((reader.GetInt64(0), Read(reader, 1)));
        }

        return attempts.ToLookup(static read => read.EntryId, static read => read.Attempt);
    }

    private static FailedAttempt Read(SqliteRows reader, int first) => new(
        UnixTime.ToTime(reader.GetInt64(first)),
        reader.IsDBNull(first + 1) ? null : reader.GetInt32(first + 1),
        reader.IsDBNull(first + 2) ? null : reader.GetString(first + 2));
}

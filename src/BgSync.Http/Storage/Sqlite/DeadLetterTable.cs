using BgSync.Http.Outcomes;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The dead letters of all queues, each with its own copy of the entry.</summary>
internal static class DeadLetterTable
{
    private const int PageRows = 64;

    private const string Columns = "id, queue, reason, error, status_code, died_at, attempts, last_error, " + ResponseColumns.Names;

    /// <summary>Copies an entry as it is stored, readable or not; only its queue and lane are taken from the lane.</summary>
    public static void Insert(SqliteSession session, LaneTable.Head head, Settlement.DeadLettered deadLettered, long now)
    {
        var copied = session.Execute(
            $"""
            INSERT INTO dead_letter
                (id, reason, error, status_code, died_at, attempts, last_error, {ResponseColumns.Names}, {SqliteSchema.EntryColumns})
            SELECT id, $reason, $error, $status_code, $now, $attempts, $last_error, {ResponseColumns.Parameters}, $queue, $lane,
                timestamp, expires_at, method, uri, origin, version, version_policy, headers, content_headers,
                metadata, traceparent, body, body_id, body_length, checksum, coalesce_key, prerequisite, priority
            FROM entry WHERE id = $id
            """,
            Parameters(head, deadLettered, now));
        if (copied == 0)
        {
            // The entry's row is gone: the letter says at least that there was one.
            session.Execute(
                $"""
                INSERT INTO dead_letter (
                    id, reason, error, status_code, died_at, attempts, last_error, {ResponseColumns.Names}, queue, lane)
                VALUES ($id, $reason, $error, $status_code, $now, $attempts, $last_error, {ResponseColumns.Parameters}, $queue, $lane)
                """,
                Parameters(head, deadLettered, now));
        }

        QueueTable.CountDead(session, head.Queue, +1);
    }

    public static DeadLetter? Find(SqliteSession session, string queue, long id)
    {
        using var reader = session.Query(
            $"SELECT {Columns}, {SqliteSchema.EntryColumns} FROM dead_letter WHERE id = $id AND queue = $queue",
            ("$id", id), ("$queue", queue));
        return reader.Read() ? Read(reader, 0) with { History = AttemptTable.Read(session, queue, id) } : null;
    }

    public static EntryRow? FindRow(SqliteSession session, long id)
    {
        using var reader = session.Query($"SELECT {SqliteSchema.EntryColumns} FROM dead_letter WHERE id = $id", ("$id", id));
        return reader.Read() ? EntryColumns.Read(reader, 0) : null;
    }

    public static void Delete(SqliteSession session, string queue, long id)
    {
        session.Execute("DELETE FROM dead_letter WHERE id = $id", ("$id", id));
        QueueTable.CountDead(session, queue, -1);
    }

    /// <summary>The first dead letters of a queue to die: when, and which streamed body they have.</summary>
    public static List<(long Id, long? BodyId, long DeadLetteredAt)> FindFirst(SqliteSession session, string queue, int limit)
    {
        using var reader = session.Query(
            "SELECT id, body_id, died_at FROM dead_letter WHERE queue = $queue ORDER BY ordinal LIMIT $limit",
            ("$queue", queue), ("$limit", limit));
        var letters = new List<(long, long?, long)>();
        while (reader.Read())
        {
            letters.Add((reader.GetInt64(0), reader.IsDBNull(1) ? null : reader.GetInt64(1), reader.GetInt64(2)));
        }

        return letters;
    }

    /// <summary>The next dead letters of a queue after an ordinal.</summary>
    /// <returns>The letters, and the ordinal to go on from; <see langword="null"/> at the end.</returns>
    public static (List<DeadLetter> Letters, long? Next) ReadPage(SqliteSession session, string queue, long after)
    {
        using var reader = session.Query(
            $"""
            SELECT ordinal, {Columns}, {SqliteSchema.EntryColumns} FROM dead_letter
            WHERE queue = $queue AND ordinal > $after
            ORDER BY ordinal LIMIT $limit
            """,
            ("$queue", queue), ("$after", after), ("$limit", PageRows));
        var letters = new List<DeadLetter>();
        var last = after;
        while (reader.Read())
        {
            last = reader.GetInt64(0);
            letters.Add(Read(reader, 1));
        }

        var attempts = AttemptTable.ReadOfDeadLetters(session, queue, after, last);
        return (
            letters.ConvertAll(letter => letter with { History = [.. attempts[letter.Id]] }),
            letters.Count == PageRows ? last : null);
    }

    private static DeadLetter Read(SqliteRows reader, int first)
    {
        var id = reader.GetInt64(first);
        var lastError = reader.IsDBNull(first + 7) ? null : reader.GetString(first + 7);
        int? statusCode = reader.IsDBNull(first + 4) ? null : reader.GetInt32(first + 4);
        return new DeadLetter
        {
            Id = id,
            Queue = reader.GetString(first + 1),
            Entry = EntryColumns.Read(reader, first + 11).Decode(id, reader.GetInt32(first + 6), lastError, out _),
            Cause = (DeadLetterCause)reader.GetInt32(first + 2),
            Error = reader.IsDBNull(first + 3) ? null : reader.GetString(first + 3),
            StatusCode = statusCode,
            Response = ResponseColumns.Read(reader, first + 8, statusCode),
            DeadLetteredAt = UnixTime.ToTime(reader.GetInt64(first + 5)),
        };
    }

    private static (string Name, object? Value)[] Parameters(LaneTable.Head head, Settlement.DeadLettered deadLettered, long now) =>
    [
        ("$id", head.EntryId),
        ("$reason", (long)deadLettered.Cause),
        ("$error", deadLettered.Error),
        ("$status_code", deadLettered.StatusCode),
        ("$now", now),
        ("$attempts", head.Attempts),
        ("$last_error", head.LastError),
        .. ResponseColumns.ValuesOf(deadLettered.Response),
        ("$queue", head.Queue),
        ("$lane", head.Lane),
    ];
}

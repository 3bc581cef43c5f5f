using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The counts, the ends and the pause of each queue.</summary>
internal static class QueueTable
{
    /// <summary>Counts an entry in and takes the next position at an end of its queue, among those of its priority.</summary>
    public static long Enter(SqliteSession session, string queue, EntryPriority priority, QueueEnd end, long bytes) =>
        Enter(session, queue, priority, end, entries: 1, bytes);

    /// <summary>Takes the next position at an end of a queue, for an entry that may enter later.</summary>
    public static long TakePosition(SqliteSession session, string queue, EntryPriority priority, QueueEnd end) =>
        Enter(session, queue, priority, end, entries: 0, bytes: 0);

    /// <summary>Counts an entry in that has its position.</summary>
    public static void CountIn(SqliteSession session, string queue, long bytes) =>
        session.Execute(
            "UPDATE queue SET live = live + 1, bytes = bytes + $bytes WHERE name = $queue", ("$queue", queue), ("$bytes", bytes));

    /// <summary>The excess that has to leave a queue before a new entry fits.</summary>
    public static QueueExcess ExcessOf(SqliteSession session, string queue, QueueLimits limits, long newBytes)
    {
        using var reader = session.Query("SELECT live, bytes FROM queue WHERE name = $queue", ("$queue", queue));
        return reader.Read() ? limits.ExcessOf(reader.GetInt64(0), reader.GetInt64(1), newBytes) : limits.ExcessOf(0, 0, newBytes);
    }

    /// <summary>Counts entries out. An empty queue holds no bytes, whatever a damaged row claimed.</summary>
    public static void Leave(SqliteSession session, string queue, int entries, long bytes) =>
        session.Execute(
            """
            UPDATE queue SET live = max(live - $entries, 0), bytes = iif(live <= $entries, 0, max(bytes - $bytes, 0))
            WHERE name = $queue
            """,
            ("$queue", queue), ("$entries", entries), ("$bytes", bytes));

    /// <summary>Counts what the body of an entry has grown by.</summary>
    public static void Grow(SqliteSession session, string queue, long bytes) =>
        session.Execute("UPDATE queue SET bytes = max(bytes + $bytes, 0) WHERE name = $queue", ("$queue", queue), ("$bytes", bytes));

    /// <summary>Counts dead letters in or out.</summary>
    public static void CountDead(SqliteSession session, string queue, int change) =>
        session.Execute(
            "UPDATE queue SET dead = max(dead + $change, 0) WHERE name = $queue", ("$queue", queue), ("$change", change));

    /// <summary>The dead letters of a queue.</summary>
    public static long CountDead(SqliteSession session, string queue) =>
        session.QueryInt64("SELECT dead FROM queue WHERE name = $queue", ("$queue", queue)) ?? 0;

    public static QueueCounts Count(SqliteSession session, string queue, long now)
    {
        using var reader = session.Query(
            """
            SELECT live, dead, bytes, (SELECT count(*) FROM entry WHERE entry.queue = $queue AND expires_at < $now)
            FROM queue WHERE name = $queue
            """,
            ("$queue", queue), ("$now", now));
        return reader.Read()
            ? new QueueCounts(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3))
            : default;
    }

    public static QueuePause? GetPause(SqliteSession session, string queue)
    {
        using var reader = session.Query(
            "SELECT pause_cause, pause_reason, paused_at FROM queue WHERE name = $queue AND pause_cause IS NOT NULL",
            ("$queue", queue));
        return reader.Read()
            ? new QueuePause((PauseCause)reader.GetInt32(0), reader.GetString(1), UnixTime.ToTime(reader.GetInt64(2)))
            : null;
    }

    public static void SetPause(SqliteSession session, string queue, QueuePause? pause) =>
        session.Execute(
            """
            INSERT INTO queue (name, pause_cause, pause_reason, paused_at) VALUES ($queue, $cause, $reason, $since)
            ON CONFLICT (name) DO UPDATE SET pause_cause = $cause, pause_reason = $reason, paused_at = $since
            """,
            ("$queue", queue),
            ("$cause", (long?)pause?.Cause),
            ("$reason", pause?.Reason),
            ("$since", pause is null ? null : UnixTime.Of(pause.Since)));

    private static long Enter(SqliteSession session, string queue, EntryPriority priority, QueueEnd end, int entries, long bytes)
    {
        var back = end == QueueEnd.Back ? 1 : 0;
        session.Execute(
            """
            INSERT INTO queue (name, live, bytes, next_back, next_front) VALUES ($queue, $entries, $bytes, $back, -1 - $front)
            ON CONFLICT (name) DO UPDATE SET
                live = live + $entries,
                bytes = bytes + $bytes,
                next_back = next_back + $back,
                next_front = next_front - $front
            """,
            ("$queue", queue), ("$entries", entries), ("$bytes", bytes), ("$back", back), ("$front", 1 - back));
        var number = session.QueryInt64(
            "SELECT iif($back, next_back - 1, next_front + 1) FROM queue WHERE name = $queue", ("$queue", queue), ("$back", back))
            ?? throw new InvalidOperationException("The queue's row vanished inside its transaction.");
        return EntryPosition.At(priority, number);
    }
}

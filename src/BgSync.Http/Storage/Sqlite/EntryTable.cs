using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The entries of all queues.</summary>
internal static class EntryTable
{
    // Keeps a page of entries with large inline bodies from filling the memory.
    private const int PageBytes = 1 << 20;

    /// <summary>The most entries that are read at once.</summary>
    public const int PageRows = 256;

    /// <summary>Where an entry stands, and what a change by hand is to know of it.</summary>
    /// <param name="Head">The entry as the head that it is or would be.</param>
    /// <param name="IsHead">Whether it is the head of its lane.</param>
    /// <param name="IsInFlight">Whether it is leased.</param>
    /// <param name="NotBefore">The end of a wait that the server asked for; zero if there is none.</param>
    /// <param name="Revision">The <see cref="QueuedEntry.Revision"/>.</param>
    public sealed record Standing(LaneTable.Head Head, bool IsHead, bool IsInFlight, long NotBefore, long Revision);

    /// <summary>Writes an entry, under a new id unless one is given.</summary>
    public static long Insert(SqliteSession session, EntryRow row, EntryStart start, long? id = null)
    {
        session.Execute(
            $"""
            INSERT INTO entry (id, position, attempts, last_error, not_before, asked_by_server, {SqliteSchema.EntryColumns})
            VALUES ($id, $position, $attempts, $last_error, $not_before, $asked_by_server, {SqliteSchema.EntryParameters})
            """,
            row.Parameters(
                ("$id", id),
                ("$position", start.Position),
                ("$attempts", start.Attempts),
                ("$last_error", start.LastError),
                ("$not_before", start.NotBefore),
                ("$asked_by_server", start.AskedByServer)));
        return id ?? session.LastInsertId;
    }

    public static EntryRow? Find(SqliteSession session, long id)
    {
        using var reader = session.Query($"SELECT {SqliteSchema.EntryColumns} FROM entry WHERE id = $id", ("$id", id));
        return reader.Read() ? EntryColumns.Read(reader, 0) : null;
    }

    /// <summary>A head and those behind it in its lane that may be leased with it, in their order; none when the head's row is gone.</summary>
    public static List<(LaneTable.Head Entry, EntryRow Row)> FindRun(
        SqliteSession session, LaneTable.Head head, NextLease wanted, long now)
    {
        using var reader = session.Query(
            $"""
            SELECT id, position, attempts, last_error, asked_by_server AND not_before > $now, {SqliteSchema.EntryColumns} FROM entry
            WHERE queue = $queue AND lane = $lane AND position >= $position
            ORDER BY position LIMIT $limit
            """,
            ("$queue", head.Queue), ("$lane", head.Lane), ("$position", head.Position), ("$limit", wanted.Limit), ("$now", now));
        var run = new List<(LaneTable.Head, EntryRow)>();
        for (var bytes = 0L; reader.Read();)
        {
            var row = EntryColumns.Read(reader, 5);
            bytes += row.BodyLength;
            if (run.Count == 0)
            {
                if (reader.GetInt64(0) != head.EntryId)
                {
                    break;
                }

                run.Add((head, row));
                continue;
            }

            if (row.Origin != wanted.Origin || row.Prerequisite is not null || reader.GetBoolean(4) || bytes > wanted.Bytes)
            {
                break;
            }

            var lastError = reader.IsDBNull(3) ? null : reader.GetString(3);
            run.Add((new(head.Queue, head.Lane, reader.GetInt64(0), reader.GetInt64(1), reader.GetInt32(2), lastError), row));
        }

        return run;
    }

    public static void Delete(SqliteSession session, long id) => session.Execute("DELETE FROM entry WHERE id = $id", ("$id", id));

    /// <summary>Where an entry of a queue stands; <see langword="null"/> when the queue has none of that id.</summary>
    public static long? FindPosition(SqliteSession session, string? queue, long id) =>
        session.QueryInt64("SELECT position FROM entry WHERE id = $id AND queue = $queue", ("$id", id), ("$queue", queue));

    /// <summary>Whether the prerequisite of an entry stands before the position at which it stands itself.</summary>
    public static bool IsBlocked(SqliteSession session, EntryRow row, long position) =>
        row.Prerequisite is { } prerequisite && FindPosition(session, row.Queue, prerequisite) < position;

    /// <summary>The id and length of an entry's body.</summary>
    public static (long? BodyId, long BodyLength) FindBody(SqliteSession session, long id)
    {
        using var reader = session.Query("SELECT body_id, body_length FROM entry WHERE id = $id", ("$id", id));
        return reader.Read() ? (reader.IsDBNull(0) ? null : reader.GetInt64(0), reader.GetInt64(1)) : (null, 0);
    }

    /// <summary>Entries past their retention that are not leased, the first to expire first, as the heads that they would be.</summary>
    public static List<LaneTable.Head> FindExpired(SqliteSession session, string queue, int limit, long now)
    {
        using var reader = session.Query(
            $"""
            SELECT entry.queue, entry.lane, entry.id, entry.position,
                coalesce(lane.attempts + (lane.lease_token IS NOT NULL), entry.attempts),
                iif(lane.head_id IS NULL, entry.last_error, lane.last_error)
            FROM entry
            LEFT JOIN lane ON lane.queue = entry.queue AND lane.name = entry.lane AND lane.head_id = entry.id
            {LaneTable.JoinSending}
            WHERE entry.queue = $queue AND entry.expires_at < $now AND sending.name IS NULL
            ORDER BY entry.expires_at LIMIT $limit
            """,
            ("$queue", queue), ("$now", now), ("$limit", limit));
        var expired = new List<LaneTable.Head>();
        while (reader.Read())
        {
            expired.Add(LaneTable.ReadHead(reader));
        }

        return expired;
    }

    /// <summary>
    /// Entries that are neither leased nor what the new one waits for, in the order in which they are to make room, as the heads that they
    /// would be: as many as it takes.
    /// </summary>
    /// <returns><see langword="null"/> when all together do not make enough.</returns>
    public static List<LaneTable.Head>? FindDisplaced(
        SqliteSession session, string queue, WhenFull order, QueueExcess excess, long? prerequisite, long now)
    {
        var displaced = new List<LaneTable.Head>();
        if (order == WhenFull.DropFirstToExpire)
        {
            using var idle = session.Query(
                $"{SelectIdle} ORDER BY entry.expires_at, entry.id",
                ("$queue", queue), ("$prerequisite", prerequisite), ("$now", now));
            excess = Displace(idle, excess, displaced);
            return excess.IsNone ? displaced : null;
        }

        foreach (var priority in (ReadOnlySpan<EntryPriority>)[EntryPriority.Low, EntryPriority.Normal, EntryPriority.High])
        {
            using var idle = session.Query(
                $"{SelectIdle} AND entry.position BETWEEN $first AND $last ORDER BY entry.position",
                ("$queue", queue),
                ("$prerequisite", prerequisite),
                ("$now", now),
                ("$first", EntryPosition.FirstOf(priority)),
                ("$last", EntryPosition.LastOf(priority)));
            excess = Displace(idle, excess, displaced);
        }

        return excess.IsNone ? displaced : null;
    }

    /// <summary>An entry that may be changed by hand: where it stands, and what it brings along to another lane.</summary>
    /// <returns>The entry as the head that it is or would be; <see langword="null"/> when the queue has none of that id.</returns>
    public static Standing? FindStanding(SqliteSession session, string queue, long id, long now)
    {
        using var reader = session.Query(
            $"""
            SELECT entry.queue, entry.lane, entry.id, entry.position,
                coalesce(lane.attempts + (lane.lease_token IS NOT NULL), entry.attempts),
                iif(lane.head_id IS NULL, entry.last_error, lane.last_error),
                lane.head_id IS NOT NULL,
                sending.name IS NOT NULL,
                CASE WHEN lane.wait = 2 THEN lane.visible_at
                    WHEN ifnull(lane.wait, 3) = 3 AND entry.asked_by_server THEN entry.not_before ELSE 0 END,
                entry.checksum
            FROM entry
            LEFT JOIN lane ON lane.queue = entry.queue AND lane.name = entry.lane AND lane.head_id = entry.id
            {LaneTable.JoinSending}
            WHERE entry.id = $id AND entry.queue = $queue
            """,
            ("$queue", queue), ("$id", id), ("$now", now));
        if (!reader.Read())
        {
            return null;
        }

        var head = LaneTable.ReadHead(reader);
        return new Standing(
            head, reader.GetBoolean(6), reader.GetBoolean(7), reader.GetInt64(8), EntryRow.RevisionOf(reader.GetInt64(9), head.Attempts));
    }

    /// <summary>Entries that are not leased, the first ones first, as the heads that they would be.</summary>
    public static List<LaneTable.Head> FindIdle(SqliteSession session, string queue, int limit, long now)
    {
        using var reader = session.Query(
            $"""
            SELECT entry.queue, entry.lane, entry.id, entry.position, entry.attempts, entry.last_error
            FROM entry
            {LaneTable.JoinSending}
            WHERE entry.queue = $queue AND sending.name IS NULL
            ORDER BY entry.position LIMIT $limit
            """,
            ("$queue", queue), ("$now", now), ("$limit", limit));
        var idle = new List<LaneTable.Head>();
        while (reader.Read())
        {
            idle.Add(LaneTable.ReadHead(reader));
        }

        return idle;
    }

    /// <summary>Writes an entry anew, at its place and with its retry state.</summary>
    public static void Update(SqliteSession session, long id, EntryRow row, EntryStart start) =>
        session.Execute(
            $"""
            UPDATE entry SET
                (position, attempts, last_error, not_before, asked_by_server, {SqliteSchema.EntryColumns}) =
                ($position, $attempts, $last_error, $not_before, $asked_by_server, {SqliteSchema.EntryParameters})
            WHERE id = $id
            """,
            row.Parameters(
                ("$id", id),
                ("$position", start.Position),
                ("$attempts", start.Attempts),
                ("$last_error", start.LastError),
                ("$not_before", start.NotBefore),
                ("$asked_by_server", start.AskedByServer)));

    /// <summary>One entry of a queue; <see langword="null"/> when it is not there or cannot be read.</summary>
    public static QueuedEntry? Describe(SqliteSession session, string queue, long id, long now)
    {
        using var reader = session.Query(
            $"{SelectDescribed} WHERE entry.id = $id AND entry.queue = $queue", ("$id", id), ("$queue", queue), ("$now", now));
        return reader.Read() ? Decode(reader, EntryColumns.Read(reader, 6)) : null;
    }

    /// <summary>The last entry of a queue that has a coalescing key and can be read.</summary>
    public static QueuedEntry? DescribeLast(SqliteSession session, string queue, string coalesceKey, long now)
    {
        using var reader = session.Query(
            $"{SelectDescribed} WHERE entry.queue = $queue AND entry.coalesce_key = $key ORDER BY entry.position DESC",
            ("$queue", queue), ("$key", coalesceKey), ("$now", now));
        QueuedEntry? last = null;
        while (last is null && reader.Read())
        {
            last = Decode(reader, EntryColumns.Read(reader, 6));
        }

        return last;
    }

    /// <summary>The next entries of a queue beyond a position, without those that cannot be read.</summary>
    /// <returns>The entries, and the position to go on from; <see langword="null"/> at the end.</returns>
    public static (List<QueuedEntry> Entries, long? Next) ReadPage(
        SqliteSession session, string queue, QueueEnd from, long after, int limit, long now)
    {
        using var reader = session.Query(
            from == QueueEnd.Front
                ? $"{SelectDescribed} WHERE entry.queue = $queue AND entry.position > $after ORDER BY entry.position LIMIT $limit"
                : $"{SelectDescribed} WHERE entry.queue = $queue AND entry.position < $after ORDER BY entry.position DESC LIMIT $limit",
            ("$queue", queue), ("$after", after), ("$limit", limit), ("$now", now));
        var entries = new List<QueuedEntry>();
        long? next = null;
        var rows = 0;
        var bytes = 0L;
        while (bytes < PageBytes && reader.Read())
        {
            rows++;
            next = reader.GetInt64(1);
            var row = EntryColumns.Read(reader, 6);
            bytes += row.Body?.Length ?? 0;
            if (Decode(reader, row) is { } entry)
            {
                entries.Add(entry);
            }
        }

        return (entries, rows == limit || bytes >= PageBytes ? next : null);
    }

    private const string SelectIdle =
        $"""
        SELECT entry.queue, entry.lane, entry.id, entry.position,
            coalesce(lane.attempts + (lane.lease_token IS NOT NULL), entry.attempts),
            iif(lane.head_id IS NULL, entry.last_error, lane.last_error),
            entry.body_length
        FROM entry
        LEFT JOIN lane ON lane.queue = entry.queue AND lane.name = entry.lane AND lane.head_id = entry.id
        {LaneTable.JoinSending}
        WHERE entry.queue = $queue AND entry.id IS NOT $prerequisite AND sending.name IS NULL
        """;

    /// <returns>The excess that remains.</returns>
    private static QueueExcess Displace(SqliteRows idle, QueueExcess excess, List<LaneTable.Head> displaced)
    {
        while (!excess.IsNone && idle.Read())
        {
            displaced.Add(LaneTable.ReadHead(idle));
            excess = excess.Without(idle.GetInt64(6));
        }

        return excess;
    }

    // A lease whose time is up was an attempt, though nobody has counted it yet.
    private static string SelectDescribed { get; } =
        $"""
        SELECT entry.id, entry.position,
            coalesce(sending.visible_at, iif(lane.wait <> 3, lane.visible_at, NULL)), sending.name IS NOT NULL,
            coalesce(lane.attempts + (lane.lease_token IS NOT NULL AND lane.visible_at <= $now), entry.attempts),
            iif(lane.head_id IS NULL, entry.last_error, lane.last_error),
            {string.Join(", ", SqliteSchema.EntryColumns.Split(", ").Select(static column => "entry." + column))}
        FROM entry
        LEFT JOIN lane ON lane.queue = entry.queue AND lane.name = entry.lane AND lane.head_id = entry.id
        {LaneTable.JoinSending}
        """;

    private static QueuedEntry? Decode(SqliteRows reader, EntryRow row)
    {
        var entry = row.Decode(
            reader.GetInt64(0), reader.GetInt32(4), reader.IsDBNull(5) ? null : reader.GetString(5), out _);
        // It waits behind another, or for its prerequisite.
        return entry is null || reader.IsDBNull(2)
            ? entry
            : entry with { DueAt = UnixTime.ToTime(reader.GetInt64(2)), IsLeased = reader.GetBoolean(3) };
    }
}

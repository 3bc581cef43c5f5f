using BgSync.Http.Outcomes;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The head of each lane: when it is due, its attempts and its lease, which may cover those behind it too.</summary>
/// <remarks>A lease is void when its time is up; until another takes the head, its holder may still settle it.</remarks>
internal static class LaneTable
{
    // A lease whose time is up was an attempt, and may have reached the server.
    private const string AttemptsWithLost = "attempts + (lease_token IS NOT NULL)";

    private const string EndLease = "lease_owner = NULL, lease_token = NULL, lease_end = NULL";

    // An entry that waits for its prerequisite is not due at all: when that one leaves the queue, Release says when it is.
    private const string IsBlocked =
        """
        EXISTS (SELECT 1 FROM entry AS before WHERE before.id = entry.prerequisite AND before.queue = entry.queue
            AND before.position < entry.position)
        """;

    private const long Never = long.MaxValue;

    /// <summary>Joins an entry with the lane whose lease covers it, as "sending"; takes $now.</summary>
    public const string JoinSending =
        """
        LEFT JOIN lane AS sending ON sending.queue = entry.queue AND sending.name = entry.lane
            AND sending.visible_at > $now AND entry.position BETWEEN sending.head_position AND sending.lease_end
        """;

    /// <summary>The columns of a lane that describe its head.</summary>
    public sealed record Head(string Queue, string Lane, long EntryId, long Position, int Attempts, string? LastError);

    /// <summary>
    /// Makes an entry the head of its lane if it is alone there or stands before the head, unless that is being sent. The one displaced
    /// keeps its attempts, and its wait if it was asked for, in its own row.
    /// </summary>
    public static void Enter(SqliteSession session, EntryRow row, long id, EntryStart start, long now)
    {
        if (TryOpen(session, row, id, start, now) || !TryDisplaceHead(session, row, start, now))
        {
            return;
        }

        session.Execute(
            $"""
            UPDATE lane SET
                head_id = $id,
                head_position = $position,
                origin = $origin,
                visible_at = $visible_at,
                wait = $wait,
                attempts = $attempts,
                last_error = $last_error,
                {EndLease}
            WHERE queue = $queue AND name = $lane
            """,
            HeadParameters(session, row, id, start, now));
    }

    /// <summary>
    /// Tells a lane what became of its head by a change, whether that is blocked included, and ends a lease of it whose time is up. A
    /// wait that is asked for takes the place of a backoff, which may be cleared.
    /// </summary>
    public static void Redirect(SqliteSession session, EntryRow row, EntryStart start, long now) =>
        session.Execute(
            $"""
            UPDATE lane SET
                origin = $origin,
                visible_at = CASE
                    WHEN $is_blocked THEN {Never}
                    WHEN wait = 3 THEN max($not_before, $now)
                    WHEN wait = 1 AND $not_before > $now THEN $not_before
                    ELSE max(visible_at, $not_before) END,
                wait = CASE
                    WHEN $is_blocked THEN 3
                    WHEN $not_before > $now THEN 2
                    WHEN wait = 3 THEN 0
                    ELSE wait END,
                attempts = $attempts,
                last_error = $last_error,
                {EndLease}
            WHERE queue = $queue AND name = $lane
            """,
            ("$queue", row.Queue),
            ("$lane", row.Lane),
            ("$origin", row.Origin),
            ("$is_blocked", EntryTable.IsBlocked(session, row, start.Position)),
            ("$not_before", start.NotBefore),
            ("$now", now),
            ("$attempts", start.Attempts),
            ("$last_error", start.LastError));

    /// <summary>
    /// Makes the first entry of a lane its head, or removes the lane if there is none. It is due at once, unless the server asked
    /// for a wait that is not over, or its prerequisite stands before it.
    /// </summary>
    public static void Promote(SqliteSession session, string queue, string lane, long now)
    {
        var removed = session.Execute(
            """
            DELETE FROM lane WHERE queue = $queue AND name = $lane
                AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.queue = $queue AND entry.lane = $lane)
            """,
            ("$queue", queue), ("$lane", lane));
        if (removed > 0)
        {
            return;
        }

        session.Execute(
            $"""
            UPDATE lane SET
                (head_id, head_position, origin, visible_at, wait, attempts, last_error) = (
                    SELECT id, position, origin,
                        CASE WHEN {IsBlocked} THEN {Never} WHEN asked_by_server THEN max(not_before, $now) ELSE $now END,
                        CASE WHEN {IsBlocked} THEN 3 WHEN asked_by_server AND not_before > $now THEN 2 ELSE 0 END,
                        attempts, last_error
                    FROM entry WHERE entry.queue = $queue AND entry.lane = $lane
                    ORDER BY position LIMIT 1),
                {EndLease}
            WHERE queue = $queue AND name = $lane
            """,
            ("$queue", queue), ("$lane", lane), ("$now", now));
    }

    /// <summary>Tells a lane that an entry leaves it, or is another now. A lease whose time is up is lost with what it covers.</summary>
    public static void Lose(SqliteSession session, Head entry, bool isHead, long now)
    {
        if (isHead)
        {
            Promote(session, entry.Queue, entry.Lane, now);
            return;
        }

        session.Execute(
            $"""
            UPDATE lane SET attempts = attempts + 1, {EndLease}
            WHERE queue = $queue AND name = $lane AND $position BETWEEN head_position AND lease_end
            """,
            ("$queue", entry.Queue), ("$lane", entry.Lane), ("$position", entry.Position));
    }

    /// <summary>
    /// Makes the lanes due whose heads waited for an entry that has left its queue, but for waits that the server asked for.
    /// </summary>
    public static void Release(SqliteSession session, long id, long now) =>
        session.Execute(
            """
            UPDATE lane SET
                visible_at = iif(entry.asked_by_server, max(entry.not_before, $now), $now),
                wait = iif(entry.asked_by_server AND entry.not_before > $now, 2, 0)
            FROM entry
            WHERE entry.prerequisite = $id
                AND lane.queue = entry.queue AND lane.name = entry.lane AND lane.head_id = entry.id AND lane.wait = 3
            """,
            ("$id", id), ("$now", now));

    /// <summary>Holds the lanes whose heads wait for an entry that was put back before them.</summary>
    public static void Block(SqliteSession session, long id) =>
        session.Execute(
            $"""
            UPDATE lane SET visible_at = {Never}, wait = 3
            FROM entry
            WHERE entry.prerequisite = $id AND {IsBlocked}
                AND lane.queue = entry.queue AND lane.name = entry.lane AND lane.head_id = entry.id AND lane.lease_token IS NULL
            """,
            ("$id", id));

    /// <summary>Holds every lane whose head waits for its prerequisite: for a store whose lanes were made anew.</summary>
    public static void BlockAll(SqliteSession session) =>
        session.Execute(
            $"UPDATE lane SET visible_at = {Never}, wait = 3 FROM entry WHERE entry.id = lane.head_id AND {IsBlocked}");

    /// <summary>The lanes that are due: those with urgent heads first, and of these the longest due.</summary>
    public static List<Head> FindDue(SqliteSession session, string queue, string origin, int limit, long now)
    {
        var heads = new List<Head>();
        foreach (var band in PositionBand.All)
        {
            if (heads.Count < limit)
            {
                AddDue(session, queue, origin, band, limit - heads.Count, now, heads);
            }
        }

        return heads;
    }

    /// <summary>The head of a lane, if it is due or waits for its backoff only.</summary>
    public static Head? FindSendable(SqliteSession session, string queue, string lane, long now)
    {
        using var reader = session.Query(
            $"""
            SELECT queue, name, head_id, head_position, {AttemptsWithLost}, last_error FROM lane
            WHERE queue = $queue AND name = $lane AND (visible_at <= $now OR wait = 1)
            """,
            ("$queue", queue), ("$lane", lane), ("$now", now));
        return reader.Read() ? ReadHead(reader) : null;
    }

    /// <summary>The head of a lane, if it is due and addressed to an origin.</summary>
    public static Head? FindDueOf(SqliteSession session, string queue, string lane, string origin, long now)
    {
        using var reader = session.Query(
            $"""
            SELECT queue, name, head_id, head_position, {AttemptsWithLost}, last_error FROM lane
            WHERE queue = $queue AND name = $lane AND origin = $origin AND visible_at <= $now
            """,
            ("$queue", queue), ("$lane", lane), ("$origin", origin), ("$now", now));
        return reader.Read() ? ReadHead(reader) : null;
    }

    public static bool HasEntries(SqliteSession session, string queue, string lane) =>
        session.QueryInt64("SELECT 1 FROM lane WHERE queue = $queue AND name = $lane", ("$queue", queue), ("$lane", lane)) is not null;

    /// <summary>Leases a head, and those behind it up to a position.</summary>
    public static void Lease(SqliteSession session, Head head, long end, Guid owner, Guid token, long until) =>
        session.Execute(
            $"""
            UPDATE lane SET
                attempts = {AttemptsWithLost},
                visible_at = $until,
                wait = 0,
                lease_owner = $owner,
                lease_token = $token,
                lease_end = $end
            WHERE queue = $queue AND name = $lane
            """,
            ("$queue", head.Queue),
            ("$lane", head.Lane),
            ("$until", until),
            ("$owner", owner.ToByteArray()),
            ("$token", token.ToByteArray()),
            ("$end", end));

    /// <summary>Makes the next of those that were leased together the head, under the same lease.</summary>
    public static void Advance(SqliteSession session, Head head, long next) =>
        session.Execute(
            """
            UPDATE lane SET
                (head_id, head_position, attempts, last_error) = (SELECT id, position, attempts, last_error FROM entry WHERE id = $next)
            WHERE queue = $queue AND name = $lane
            """,
            ("$queue", head.Queue), ("$lane", head.Lane), ("$next", next));

    /// <summary>The head under a lease of this owner; <see langword="null"/> when the lease was lost.</summary>
    public static Head? FindLeased(SqliteSession session, Lease lease, Guid owner)
    {
        using var reader = session.Query(
            """
            SELECT queue, name, head_id, head_position, attempts, last_error FROM lane
            WHERE lease_owner = $owner AND lease_token = $token AND head_id = $id
            """,
            ("$owner", owner.ToByteArray()), ("$token", lease.Token.ToByteArray()), ("$id", lease.EntryId));
        return reader.Read() ? ReadHead(reader) : null;
    }

    public static bool Renew(SqliteSession session, Lease lease, Guid owner, long until) =>
        session.Execute(
            "UPDATE lane SET visible_at = $until WHERE lease_owner = $owner AND lease_token = $token",
            ("$until", until),
            ("$owner", owner.ToByteArray()),
            ("$token", lease.Token.ToByteArray())) > 0;

    /// <summary>Ends the lease of a head and says when it is due again.</summary>
    public static void Reschedule(SqliteSession session, Head head, Settlement.Retry retry, long now)
    {
        session.Execute(
            $"""
            UPDATE lane SET
                visible_at = $visible_at,
                wait = $wait,
                attempts = attempts + $attempt,
                last_error = coalesce($error, last_error),
                {EndLease}
            WHERE queue = $queue AND name = $lane
            """,
            ("$queue", head.Queue),
            ("$lane", head.Lane),
            ("$visible_at", UnixTime.After(now, retry.Delay)),
            ("$wait", WaitFor(retry.Delay, retry.RequestedDelay)),
            ("$attempt", retry.CountsAsAttempt ? 1 : 0),
            ("$error", retry.Error));
        YieldToFront(session, head, now);
    }

    public static bool IsHead(SqliteSession session, Head head) =>
        session.QueryInt64(
            "SELECT 1 FROM lane WHERE queue = $queue AND name = $lane AND head_id = $id",
            ("$queue", head.Queue), ("$lane", head.Lane), ("$id", head.EntryId)) is not null;

    /// <summary>Makes the lanes due that wait for their backoff, or only those of them whose wait has no end.</summary>
    public static int ClearBackoff(SqliteSession session, string queue, bool onlyEndless, long now) =>
        session.Execute(
            "UPDATE lane SET visible_at = $now, wait = 0 WHERE queue = $queue AND wait = 1 AND visible_at > $from",
            ("$queue", queue), ("$now", now), ("$from", onlyEndless ? UnixTime.LastMoment : now));

    /// <summary>Each origin that a head is addressed to, found by jumping from one to the next along the index.</summary>
    public static IReadOnlyList<OriginSchedule> Schedule(SqliteSession session, string queue)
    {
        using var reader = session.Query(
            $"""
            WITH RECURSIVE origins (origin) AS (
                SELECT (SELECT origin FROM lane WHERE queue = $queue ORDER BY origin LIMIT 1)
                UNION ALL
                SELECT (SELECT lane.origin FROM lane WHERE lane.queue = $queue AND lane.origin > origins.origin
                    ORDER BY lane.origin LIMIT 1)
                FROM origins WHERE origins.origin IS NOT NULL)
            SELECT origin, min({FirstDueInBand("-1")}, {FirstDueInBand("0")}, {FirstDueInBand("1")})
            FROM origins WHERE origin IS NOT NULL
            """,
            ("$queue", queue));
        var schedule = new List<OriginSchedule>();
        while (reader.Read())
        {
            schedule.Add(new OriginSchedule(reader.GetString(0), UnixTime.ToTime(reader.GetInt64(1))));
        }

        return schedule;
    }

    /// <summary>
    /// The excess that keeps a new entry from fitting even if the queue held nothing but what is leased, and what that entry waits for. Few
    /// are, at any length.
    /// </summary>
    public static QueueExcess ExcessWithoutIdle(
        SqliteSession session, string queue, QueueLimits limits, long newBytes, long? prerequisite, long now)
    {
        using var reader = session.Query(
            """
            SELECT count(*), coalesce(sum(body_length), 0) FROM entry
            WHERE +queue = $queue AND (id = $prerequisite OR id IN (
                SELECT leased.id FROM lane INDEXED BY lane_lease
                CROSS JOIN entry AS leased ON leased.queue = lane.queue AND leased.lane = lane.name
                    AND leased.position BETWEEN lane.head_position AND lane.lease_end
                WHERE lane.lease_owner > x'' AND lane.queue = $queue AND lane.visible_at > $now))
            """,
            ("$queue", queue), ("$prerequisite", prerequisite), ("$now", now));
        reader.Read();
        return limits.ExcessOf(reader.GetInt64(0), reader.GetInt64(1), newBytes);
    }

    /// <summary>The owners of leases.</summary>
    public static List<Guid> FindOwners(SqliteSession session) => OwnerColumn.FindOwners(session, "lane", "lease_owner");

    /// <summary>Voids the leases of an owner that is dead; their attempts count.</summary>
    public static int Void(SqliteSession session, Guid owner, long now) =>
        session.Execute(
            $"UPDATE lane SET visible_at = $now, attempts = attempts + 1, {EndLease} WHERE lease_owner = $owner",
            ("$owner", owner.ToByteArray()), ("$now", now));

    public static int WaitFor(TimeSpan delay, bool askedByServer) => (delay > TimeSpan.Zero, askedByServer) switch
    {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    };

    private static bool TryOpen(SqliteSession session, EntryRow row, long id, EntryStart start, long now) =>
        session.Execute(
            """
            INSERT INTO lane (queue, name, head_id, head_position, origin, visible_at, wait, attempts, last_error)
            VALUES ($queue, $lane, $id, $position, $origin, $visible_at, $wait, $attempts, $last_error)
            ON CONFLICT (queue, name) DO NOTHING
            """,
            HeadParameters(session, row, id, start, now)) > 0;

    private static bool TryDisplaceHead(SqliteSession session, EntryRow row, EntryStart start, long now) =>
        session.Execute(
            """
            UPDATE entry SET
                attempts = lane.attempts + (lane.lease_token IS NOT NULL),
                last_error = lane.last_error,
                not_before = iif(lane.wait = 3, not_before, lane.visible_at),
                asked_by_server = iif(lane.wait = 3, asked_by_server, lane.wait = 2)
            FROM lane
            WHERE lane.queue = $queue AND lane.name = $lane AND entry.id = lane.head_id
                AND lane.head_position > $position AND (lane.lease_token IS NULL OR lane.visible_at <= $now)
            """,
            ("$queue", row.Queue), ("$lane", row.Lane), ("$position", start.Position), ("$now", now)) > 0;

    private static void AddDue(SqliteSession session, string queue, string origin, long band, int limit, long now, List<Head> heads)
    {
        using var reader = session.Query(
            $"""
            SELECT queue, name, head_id, head_position, {AttemptsWithLost}, last_error FROM lane
            WHERE queue = $queue AND origin = $origin AND {PositionBand.OfHead} = $band AND visible_at <= $now
            ORDER BY visible_at LIMIT $limit
            """,
            ("$queue", queue), ("$origin", origin), ("$band", band), ("$now", now), ("$limit", limit));
        while (reader.Read())
        {
            heads.Add(ReadHead(reader));
        }
    }

    private static string FirstDueInBand(string band) =>
        $"""
        ifnull(
                (SELECT visible_at FROM lane WHERE lane.queue = $queue AND lane.origin = origins.origin AND {PositionBand.OfHead} = {band}
                    ORDER BY visible_at LIMIT 1),
                {long.MaxValue})
        """;

    // An entry that came to stand before the head while that was being sent goes first from now on.
    private static void YieldToFront(SqliteSession session, Head head, long now)
    {
        var first = session.QueryInt64(
            "SELECT position FROM entry WHERE queue = $queue AND lane = $lane ORDER BY position LIMIT 1",
            ("$queue", head.Queue), ("$lane", head.Lane));
        if (first is null || first >= head.Position)
        {
            return;
        }

        session.Execute(
            """
            UPDATE entry SET
                attempts = lane.attempts,
                last_error = lane.last_error,
                not_before = lane.visible_at,
                asked_by_server = (lane.wait = 2)
            FROM lane
            WHERE lane.queue = $queue AND lane.name = $lane AND entry.id = lane.head_id
            """,
            ("$queue", head.Queue), ("$lane", head.Lane));
        Promote(session, head.Queue, head.Lane, now);
    }

    /// <summary>Reads queue, lane, id, position, attempts and last error.</summary>
    public static Head ReadHead(SqliteRows reader) => new(
        reader.GetString(0),
        reader.GetString(1),
        reader.GetInt64(2),
        reader.GetInt64(3),
        reader.GetInt32(4),
        reader.IsDBNull(5) ? null : reader.GetString(5));

    private static (string Name, object? Value)[] HeadParameters(
        SqliteSession session, EntryRow row, long id, EntryStart start, long now)
    {
        var isBlocked = EntryTable.IsBlocked(session, row, start.Position);
        return
        [
            ("$queue", row.Queue),
            ("$lane", row.Lane),
            ("$id", id),
            ("$position", start.Position),
            ("$origin", row.Origin),
            ("$visible_at", isBlocked ? Never : Math.Max(start.NotBefore, now)),
            ("$wait", isBlocked ? 3 : start.NotBefore <= now ? 0 : start.AskedByServer ? 2 : 1),
            ("$attempts", start.Attempts),
            ("$last_error", start.LastError),
        ];
    }
}

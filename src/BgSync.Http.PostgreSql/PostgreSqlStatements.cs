namespace BgSync.Http.PostgreSql;

/// <summary>The texts of the queries.</summary>
/// <param name="schema">The schema, quoted.</param>
internal sealed class PostgreSqlStatements(string schema)
{
    private const string Never = "9223372036854775807";

    public string TakeIdBlock { get; } = $"SELECT nextval('{schema}.id_block')";

    public string ReadForwards { get; } =
        $"{Described(schema)} WHERE entry.queue = $1 AND entry.position > $2 ORDER BY entry.position LIMIT $3";

    public string ReadBackwards { get; } =
        $"{Described(schema)} WHERE entry.queue = $1 AND entry.position < $2 ORDER BY entry.position DESC LIMIT $3";

    public string Find { get; } = $"{Described(schema)} WHERE entry.queue = $1 AND entry.id = $2";

    public string FindLast { get; } =
        $"""
        {Described(schema)} WHERE entry.queue = $1 AND entry.coalesce_key = $2 AND entry.position < $3
        ORDER BY entry.position DESC LIMIT 1
        """;

    public string IsLeased { get; } =
        $"""
        SELECT FROM {schema}.lane WHERE head_id = $1 AND lease_token IS NOT NULL
        UNION ALL
        SELECT FROM {schema}.entry JOIN {schema}.lane ON lane.queue = entry.queue AND lane.name = entry.lane
        WHERE entry.id = $1 AND entry.id = ANY (lane.leased_behind)
        """;

    public string FindRow { get; } =
        $"SELECT {RequestColumns.Of("entry")} FROM {schema}.entry WHERE queue = $1 AND id = $2";

    public string FindDeadRow { get; } =
        $"SELECT {RequestColumns.Of("dead_letter")} FROM {schema}.dead_letter WHERE queue = $1 AND id = $2";

    public string ReadChunk { get; } = $"SELECT checksum, bytes FROM {schema}.body_chunk WHERE body_id = $1 AND number = $2";

    public string ReadHistory { get; } =
        $"""
        SELECT history.* FROM {schema}.history_of($2) AS history
        WHERE EXISTS (SELECT FROM {schema}.entry WHERE id = $2 AND queue = $1)
            OR EXISTS (SELECT FROM {schema}.dead_letter WHERE id = $2 AND queue = $1)
        """;

    public string ReadDeadLetters { get; } =
        $"""
        SELECT ordinal, id, reason, dead_letter.error, dead_letter.status_code, died_at, attempts, last_error,
            reply_headers, reply_body, reply_is_whole, history.at, history.status_code, history.error,
            {RequestColumns.Of("dead_letter")}
        FROM {schema}.dead_letter CROSS JOIN LATERAL {schema}.history_of(id) AS history
        WHERE queue = $1 AND ordinal > $2 ORDER BY ordinal LIMIT $3
        """;

    // The queue itself knows better than a receipt, and a dead letter no less.
    public string FindReceipt { get; } =
        $"""
        SELECT state, at, reason, error, status_code, reply_headers, reply_body, reply_is_whole FROM (
            SELECT 0 AS rank, 0 AS state, made_at AS at, NULL::integer AS reason, NULL AS error, NULL::integer AS status_code,
                NULL AS reply_headers, NULL::bytea AS reply_body, NULL::boolean AS reply_is_whole
            FROM {schema}.entry WHERE id = $2 AND queue = $1
            UNION ALL
            SELECT 1, state, at, reason, error, status_code, reply_headers, reply_body, reply_is_whole
            FROM {schema}.receipt WHERE id = $2 AND queue = $1
            UNION ALL
            SELECT 2, 2, died_at, reason, error, status_code, reply_headers, reply_body, reply_is_whole
            FROM {schema}.dead_letter WHERE id = $2 AND queue = $1) AS known
        ORDER BY rank LIMIT 1
        """;

    public string Count { get; } =
        $"""
        SELECT coalesce(sum(live), 0)::bigint, coalesce(sum(dead), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
            {schema}.count_expired($1)
        FROM {schema}.tally WHERE queue = $1
        """;

    public string HasEntries { get; } = $"SELECT FROM {schema}.lane WHERE queue = $1 AND name = $2";

    /// <summary>Each origin that a head is addressed to, found by jumping from one to the next along the index.</summary>
    public string ReadSchedule { get; } =
        $"""
        WITH RECURSIVE origins (origin) AS (
            SELECT (SELECT lane.origin FROM {schema}.lane WHERE lane.queue = $1 ORDER BY lane.origin LIMIT 1)
            UNION ALL
            SELECT (SELECT lane.origin FROM {schema}.lane WHERE lane.queue = $1 AND lane.origin > origins.origin
                ORDER BY lane.origin LIMIT 1)
            FROM origins WHERE origins.origin IS NOT NULL)
        SELECT origin, coalesce(
            least({FirstDueInBand(schema, -1)}, {FirstDueInBand(schema, 0)}, {FirstDueInBand(schema, 1)}), {Never})
        FROM origins WHERE origin IS NOT NULL
        """;

    public string FindPause { get; } = $"SELECT cause, reason, since FROM {schema}.pause WHERE queue = $1";

    // A lease whose time is up was an attempt, though nobody has counted it yet.
    private static string Described(string schema) =>
        $"""
        SELECT entry.id, entry.position,
            CASE WHEN l.head_id = entry.id
                THEN l.attempts + (l.lease_token IS NOT NULL AND l.visible_at <= (SELECT {schema}.now_ms()))::integer
                ELSE entry.attempts END,
            CASE WHEN l.head_id = entry.id THEN l.last_error ELSE entry.last_error END,
            entry.edits,
            CASE WHEN l.head_id = entry.id OR sent.is_it THEN l.wait END, l.visible_at, sent.is_it,
            {RequestColumns.Of("entry")}
        FROM {schema}.entry LEFT JOIN {schema}.lane AS l ON l.queue = entry.queue AND l.name = entry.lane
        CROSS JOIN LATERAL (SELECT {schema}.is_sent(l, entry.id, (SELECT {schema}.now_ms())) AS is_it) AS sent
        """;

    private static string FirstDueInBand(string schema, int band) =>
        $"""
        (SELECT visible_at FROM {schema}.lane
            WHERE lane.queue = $1 AND lane.origin = origins.origin AND (head_position + 576460752303423488) >> 60 = {band}
            ORDER BY visible_at LIMIT 1)
        """;
}

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The tables of the store, by version.</summary>
/// <remarks>
/// <para>An entry changes only by hand; what changes with every attempt is the row of its lane, which carries the head, and the row of its
/// queue, which carries the counts. So no operation costs more for a longer queue.</para>
/// <para>Entries and dead letters name their queue and lane in full, so that they can be recovered without the other tables.</para>
/// </remarks>
internal static class SqliteSchema
{
    /// <summary>"BgSq": marks the file as a store of this library.</summary>
    public const int ApplicationId = 0x42675371;

    public const int Version = 3;

    // The columns of an entry, in the order in which EntryRow reads it.
    public const string EntryColumns = Version1EntryColumns + ", coalesce_key, prerequisite, priority";

    // The same of a file that was damaged before it was migrated.
    public const string EntryColumnsOfVersion1 = Version1EntryColumns + ", NULL, NULL, 0";

    public const string EntryParameters =
        "$queue, $lane, $timestamp, $expires_at, $method, $uri, $origin, $version, $version_policy, $headers, $content_headers, "
        + "$metadata, $traceparent, $body, $body_id, $body_length, $checksum, $coalesce_key, $prerequisite, $priority";

    private const string Version1EntryColumns =
        "queue, lane, timestamp, expires_at, method, uri, origin, version, version_policy, headers, content_headers, "
        + "metadata, traceparent, body, body_id, body_length, checksum";

    private const string Version1 =
        """
        CREATE TABLE queue (
            name TEXT PRIMARY KEY,
            live INTEGER NOT NULL DEFAULT 0,
            dead INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0,
            next_back INTEGER NOT NULL DEFAULT 0,
            next_front INTEGER NOT NULL DEFAULT -1,
            pause_cause INTEGER,
            pause_reason TEXT,
            paused_at INTEGER
        ) WITHOUT ROWID;

        -- One row for each lane that has entries. visible_at: when the head may be leased, or the lease of it ends.
        -- wait: 0 none, 1 backoff, 2 asked for by the server.
        CREATE TABLE lane (
            queue TEXT NOT NULL,
            name TEXT NOT NULL,
            head_id INTEGER NOT NULL,
            head_position INTEGER NOT NULL,
            origin TEXT NOT NULL,
            visible_at INTEGER NOT NULL,
            wait INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            last_error TEXT,
            lease_owner BLOB,
            lease_token BLOB,
            PRIMARY KEY (queue, name)
        ) WITHOUT ROWID;
        CREATE INDEX lane_due ON lane (queue, origin, visible_at);
        CREATE INDEX lane_backoff ON lane (queue, visible_at) WHERE wait = 1;
        CREATE INDEX lane_lease ON lane (lease_owner, lease_token) WHERE lease_owner IS NOT NULL;

        -- attempts, last_error, not_before and asked_by_server hold from when the entry becomes the head of its lane.
        CREATE TABLE entry (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            position INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            last_error TEXT,
            not_before INTEGER NOT NULL,
            asked_by_server INTEGER NOT NULL,
            queue TEXT NOT NULL,
            lane TEXT NOT NULL,
            timestamp INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            method TEXT NOT NULL,
            uri TEXT NOT NULL,
            origin TEXT NOT NULL,
            version TEXT NOT NULL,
            version_policy INTEGER NOT NULL,
            headers TEXT NOT NULL,
            content_headers TEXT,
            metadata TEXT,
            traceparent TEXT,
            checksum INTEGER NOT NULL,
            body_length INTEGER NOT NULL,
            body_id INTEGER,
            body BLOB
        );
        CREATE INDEX entry_lane ON entry (queue, lane, position);
        CREATE INDEX entry_queue ON entry (queue, position);
        CREATE INDEX entry_expiry ON entry (queue, expires_at);

        -- ordinal is the order of dying. Nothing but the queue is sure of an entry that could not be read.
        CREATE TABLE dead_letter (
            ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
            id INTEGER NOT NULL UNIQUE,
            reason INTEGER NOT NULL,
            error TEXT,
            status_code INTEGER,
            died_at INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            last_error TEXT,
            queue TEXT NOT NULL,
            lane TEXT NOT NULL,
            timestamp INTEGER,
            expires_at INTEGER,
            method TEXT,
            uri TEXT,
            origin TEXT,
            version TEXT,
            version_policy INTEGER,
            headers TEXT,
            content_headers TEXT,
            metadata TEXT,
            traceparent TEXT,
            checksum INTEGER,
            body_length INTEGER,
            body_id INTEGER,
            body BLOB
        );
        CREATE INDEX dead_letter_queue ON dead_letter (queue, ordinal);

        -- owner: who is writing the body; none once an entry has taken it over.
        CREATE TABLE body (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            owner BLOB
        );
        CREATE INDEX body_owner ON body (owner) WHERE owner IS NOT NULL;

        CREATE TABLE body_chunk (
            id INTEGER PRIMARY KEY,
            body_id INTEGER NOT NULL,
            number INTEGER NOT NULL,
            checksum INTEGER NOT NULL,
            bytes BLOB NOT NULL
        );
        CREATE UNIQUE INDEX body_chunk_number ON body_chunk (body_id, number);
        """;

    private const string Version2 =
        """
        -- coalesce_key: entries of the same key may be made one.
        -- prerequisite: the entry that is to leave the queue before this one is sent.
        -- priority: -1, 0 or 1; the position is in its band (see EntryPosition).
        ALTER TABLE entry ADD COLUMN coalesce_key TEXT;
        ALTER TABLE entry ADD COLUMN prerequisite INTEGER;
        ALTER TABLE entry ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX entry_coalesce ON entry (queue, coalesce_key, position) WHERE coalesce_key IS NOT NULL;
        CREATE INDEX entry_prerequisite ON entry (prerequisite) WHERE prerequisite IS NOT NULL;
        -- From here on lane.wait is 3, and lane.visible_at beyond all times, while the head waits for its prerequisite.

        -- reply_is_whole: whether all of the reply's body is kept.
        ALTER TABLE dead_letter ADD COLUMN coalesce_key TEXT;
        ALTER TABLE dead_letter ADD COLUMN prerequisite INTEGER;
        ALTER TABLE dead_letter ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE dead_letter ADD COLUMN reply_headers TEXT;
        ALTER TABLE dead_letter ADD COLUMN reply_body BLOB;
        ALTER TABLE dead_letter ADD COLUMN reply_is_whole INTEGER;

        -- The failed attempts at an entry or a dead letter, the last of them.
        CREATE TABLE attempt (
            entry_id INTEGER NOT NULL,
            number INTEGER NOT NULL,
            at INTEGER NOT NULL,
            status_code INTEGER,
            error TEXT,
            PRIMARY KEY (entry_id, number)
        ) WITHOUT ROWID;

        -- How entries ended: state 1 delivered, 2 dead.
        CREATE TABLE receipt (
            id INTEGER PRIMARY KEY,
            queue TEXT NOT NULL,
            state INTEGER NOT NULL,
            at INTEGER NOT NULL,
            reason INTEGER,
            error TEXT,
            status_code INTEGER,
            reply_headers TEXT,
            reply_body BLOB,
            reply_is_whole INTEGER
        );
        CREATE INDEX receipt_age ON receipt (queue, at);

        -- Requests that are being sent for the first time, by their owner; they enter their queue at their position if that fails.
        -- not_before and asked_by_server hold should the owner die. repeatable: whether it may be sent twice then.
        CREATE TABLE held (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            owner BLOB NOT NULL,
            repeatable INTEGER NOT NULL,
            position INTEGER NOT NULL,
            not_before INTEGER NOT NULL,
            asked_by_server INTEGER NOT NULL,
            queue TEXT NOT NULL,
            lane TEXT NOT NULL,
            timestamp INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            method TEXT NOT NULL,
            uri TEXT NOT NULL,
            origin TEXT NOT NULL,
            version TEXT NOT NULL,
            version_policy INTEGER NOT NULL,
            headers TEXT NOT NULL,
            content_headers TEXT,
            metadata TEXT,
            traceparent TEXT,
            checksum INTEGER NOT NULL,
            body_length INTEGER NOT NULL,
            body_id INTEGER,
            body BLOB,
            coalesce_key TEXT,
            prerequisite INTEGER,
            priority INTEGER NOT NULL
        );
        CREATE INDEX held_owner ON held (owner);

        -- The heads of urgent lanes come first: see EntryPosition.
        DROP INDEX lane_due;
        CREATE INDEX lane_due ON lane (queue, origin, (head_position + 0x0800000000000000) >> 60, visible_at);
        """;

    private const string Version3 =
        """
        -- A lease covers the entries of its lane from head_position to lease_end.
        ALTER TABLE lane ADD COLUMN lease_end INTEGER;
        UPDATE lane SET lease_end = head_position WHERE lease_token IS NOT NULL;
        """;

    // The script that leads to each version from the one before.
    private static readonly string[] _migrations = [Version1, Version2, Version3];

    /// <summary>Brings a database to this version, in one transaction.</summary>
    public static void Migrate(SqliteSession session)
    {
        var installed = InstalledVersion(session);
        if (installed == Version)
        {
            return;
        }

        if (installed == 0)
        {
            // Counts only before the first table.
            session.RunScript("PRAGMA auto_vacuum = INCREMENTAL");
        }

        session.Execute("BEGIN IMMEDIATE");
        try
        {
            // Read again: another process may have been first.
            for (var version = InstalledVersion(session); version < Version; version++)
            {
                session.RunScript(_migrations[version]);
            }

            session.RunScript($"PRAGMA application_id = {ApplicationId}; PRAGMA user_version = {Version};");
            session.Execute("COMMIT");
        }
        catch
        {
            session.TryRollBack();
            throw;
        }
    }

    /// <summary>Touches the root of every table, so that a damaged one is found now rather than later.</summary>
    public static void Probe(SqliteSession session)
    {
        foreach (var table in (ReadOnlySpan<string>)
            ["queue", "lane", "entry", "dead_letter", "body", "body_chunk", "receipt", "attempt", "held"])
        {
            // All columns, or an index would be read in place of the table.
            session.QueryInt64($"SELECT * FROM {table} LIMIT 1");
        }
    }

    /// <summary>Says why a database is none that this version may write to; <see langword="null"/> when it is.</summary>
    public static string? FindRefusal(SqliteSession session)
    {
        if (session.QueryInt64("PRAGMA application_id") == ApplicationId)
        {
            return session.QueryInt64("PRAGMA user_version") is var version && version > Version
                ? $"was written by a later version of this library (schema {version}; this one knows {Version})"
                : null;
        }

        return session.QueryInt64("SELECT 1 FROM sqlite_master LIMIT 1") is null ? null : "is the database of another application";
    }

    private static int InstalledVersion(SqliteSession session) =>
        session.QueryInt64("PRAGMA application_id") == ApplicationId ? (int)(session.QueryInt64("PRAGMA user_version") ?? 0) : 0;
}

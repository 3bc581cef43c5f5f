using BgSync.Http.Storage.Format;
using Microsoft.Data.Sqlite;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>Copies what can be read of a damaged database into a fresh one.</summary>
/// <remarks>
/// Each table is read from both ends up to where it is damaged; what lies between is halved until only the rows of the damaged
/// pages are left out. An entry counts as read when its checksum is right.
/// </remarks>
internal sealed class SqliteSalvage(SqliteSession damaged, SqliteSession fresh)
{
    // Bounds the search in a table of which hardly anything is left.
    private const int MostFailures = 20_000;

    private const int RowsPerCommit = 256;

    private int _failures;
    private int _uncommitted;
    private int _entries;
    private int _deadLetters;

    /// <summary>How much was recovered.</summary>
    public readonly record struct Result(int Entries, int DeadLetters);

    public Result Run(long now)
    {
        var (entryColumns, responseColumns) = Try(() => damaged.QueryInt64("SELECT prerequisite FROM entry LIMIT 0"), out _)
            ? (SqliteSchema.EntryColumns, ResponseColumns.Names)
            : (SqliteSchema.EntryColumnsOfVersion1, ResponseColumns.NamesOfVersion1);
        fresh.Execute("BEGIN IMMEDIATE");
        Copy("entry", "id", $"position, attempts, last_error, not_before, asked_by_server, {entryColumns}", CopyEntry);
        Copy(
            "dead_letter",
            "ordinal",
            $"id, reason, error, status_code, died_at, attempts, last_error, {responseColumns}, {entryColumns}",
            CopyDeadLetter);
        Copy("receipt", "id", ReceiptTable.Columns, CopyReceipt);
        Copy("held", "id", $"owner, repeatable, position, not_before, asked_by_server, {entryColumns}", CopyWriteAheads);
        Copy("body", "id", "owner", CopyBody);
        Copy("body_chunk", "id", "body_id, number, checksum, bytes", CopyChunk);
        CopyAttempts();
        CountQueues();
        FormLanes(now);
        CopyPauses();
        CopyRetryStates(now);
        LaneTable.BlockAll(fresh);
        CopySequences();
        fresh.Execute("COMMIT");
        return new Result(_entries, _deadLetters);
    }

    private void Copy(string table, string key, string columns, Action<SqliteRows> copy)
    {
        _failures = 0;
        if (Try(() => damaged.QueryInt64($"SELECT 1 FROM {table} LIMIT 0"), out _))
        {
            CopyRange(table, key, columns, 0, LastKey(table, key), copy);
        }
    }

    private void CopyRange(string table, string key, string columns, long low, long high, Action<SqliteRows> copy)
    {
        if (ScanRange(table, key, columns, ref low, ref high, ascending: true, copy)
            || ScanRange(table, key, columns, ref low, ref high, ascending: false, copy)
            || low >= high
            || ++_failures > MostFailures)
        {
            return;
        }

        var middle = low + ((high - low) / 2);
        CopyRange(table, key, columns, low, middle, copy);
        CopyRange(table, key, columns, middle + 1, high, copy);
    }

    /// <summary>Reads from one end of a range and narrows it to what is not read yet.</summary>
    /// <returns>Whether the whole range was read.</returns>
    private bool ScanRange(
        string table, string key, string columns, ref long low, ref long high, bool ascending, Action<SqliteRows> copy)
    {
        try
        {
            using var reader = damaged.Query(
                $"SELECT {key}, {columns} FROM {table} WHERE {key} BETWEEN $low AND $high ORDER BY {key} {(ascending ? "ASC" : "DESC")}",
                ("$low", low), ("$high", high));
            while (reader.Read())
            {
                var found = reader.GetInt64(0);
                if (found < low || found > high)
                {
                    return false;
                }

                copy(reader);
                CommitNowAndThen();
                if (ascending)
                {
                    low = found + 1;
                }
                else
                {
                    high = found - 1;
                }
            }

            return true;
        }
        catch (SqliteException exception) when (IsOfDamagedFile(exception))
        {
            return false;
        }
    }

    private void CopyEntry(SqliteRows reader)
    {
        var row = EntryColumns.Read(reader, 6);
        if (row.IsWhole)
        {
            var start = new EntryStart(
                reader.GetInt64(1),
                reader.GetInt32(2),
                reader.IsDBNull(3) ? null : reader.GetString(3),
                reader.GetInt64(4),
                reader.GetBoolean(5));
            EntryTable.Insert(fresh, row, start, reader.GetInt64(0));
            _entries++;
        }
    }

    private void CopyDeadLetter(SqliteRows reader)
    {
        var row = EntryColumns.Read(reader, 11);
        if (row.IsWhole)
        {
            fresh.Execute(
                $"""
                INSERT INTO dead_letter
                    (ordinal, id, reason, error, status_code, died_at, attempts, last_error, {ResponseColumns.Names},
                     {SqliteSchema.EntryColumns})
                VALUES ($ordinal, $id, $reason, $error, $status_code, $died_at, $attempts, $last_error, {ResponseColumns.Parameters},
                    {SqliteSchema.EntryParameters})
                """,
                row.Parameters(
                [
                    ("$ordinal", reader.GetInt64(0)),
                    ("$id", reader.GetInt64(1)),
                    ("$reason", reader.GetInt64(2)),
                    ("$error", reader.GetValue(3)),
                    ("$status_code", reader.GetValue(4)),
                    ("$died_at", reader.GetInt64(5)),
                    ("$attempts", reader.GetInt64(6)),
                    ("$last_error", reader.GetValue(7)),
                    .. ResponseColumns.Copy(reader, 8),
                ]));
            _deadLetters++;
        }
    }

    private void CopyReceipt(SqliteRows reader) =>
        fresh.Execute(
            $"INSERT OR IGNORE INTO receipt (id, {ReceiptTable.Columns}) VALUES ($id, {ReceiptTable.Parameters})",
            [
                ("$id", reader.GetInt64(0)),
                ("$queue", reader.GetString(1)),
                ("$state", reader.GetInt64(2)),
                ("$at", reader.GetInt64(3)),
                ("$reason", reader.GetValue(4)),
                ("$error", reader.GetValue(5)),
                ("$status_code", reader.GetValue(6)),
                .. ResponseColumns.Copy(reader, 7),
            ]);

    private void CopyWriteAheads(SqliteRows reader)
    {
        var row = EntryColumns.Read(reader, 6);
        if (row.IsWhole)
        {
            var start = new EntryStart(reader.GetInt64(3), 0, null, reader.GetInt64(4), reader.GetBoolean(5));
            WriteAheadTable.Insert(fresh, new Guid(reader.GetBytes(1)), reader.GetBoolean(2), row, start, reader.GetInt64(0));
        }
    }

    private void CopyBody(SqliteRows reader) =>
        fresh.Execute("INSERT INTO body (id, owner) VALUES ($id, $owner)", ("$id", reader.GetInt64(0)), ("$owner", reader.GetValue(1)));

    private void CopyChunk(SqliteRows reader) =>
        fresh.Execute(
            "INSERT OR IGNORE INTO body_chunk (id, body_id, number, checksum, bytes) VALUES ($row, $id, $number, $checksum, $bytes)",
            ("$row", reader.GetInt64(0)),
            ("$id", reader.GetInt64(1)),
            ("$number", reader.GetInt64(2)),
            ("$checksum", reader.GetInt64(3)),
            ("$bytes", reader.GetValue(4)));

    // Those at what could not be recovered would stay for ever.
    private void CopyAttempts() =>
        Scan(
            "SELECT entry_id, number, at, status_code, error FROM attempt",
            reader => fresh.Execute(
                """
                INSERT OR IGNORE INTO attempt (entry_id, number, at, status_code, error)
                SELECT $id, $number, $at, $status_code, $error
                WHERE EXISTS (SELECT 1 FROM entry WHERE id = $id) OR EXISTS (SELECT 1 FROM dead_letter WHERE id = $id)
                """,
                ("$id", reader.GetInt64(0)),
                ("$number", reader.GetInt64(1)),
                ("$at", reader.GetInt64(2)),
                ("$status_code", reader.GetValue(3)),
                ("$error", reader.GetValue(4))));

    private void CountQueues()
    {
        fresh.Execute(
            $"""
            INSERT INTO queue (name, live, bytes, next_back, next_front)
            SELECT queue, count(*), sum(body_length),
                max(max({PositionBand.NumberOf("entry")}) + 1, 0), min(min({PositionBand.NumberOf("entry")}) - 1, -1)
            FROM entry GROUP BY queue
            """);
        fresh.Execute(
            $"""
            INSERT INTO queue (name, next_back, next_front)
            SELECT queue, max(max({PositionBand.NumberOf("held")}) + 1, 0), min(min({PositionBand.NumberOf("held")}) - 1, -1)
            FROM held WHERE true GROUP BY queue
            ON CONFLICT (name) DO UPDATE SET
                next_back = max(next_back, excluded.next_back), next_front = min(next_front, excluded.next_front)
            """);
        fresh.Execute(
            """
            INSERT INTO queue (name, dead) SELECT queue, count(*) FROM dead_letter WHERE true GROUP BY queue
            ON CONFLICT (name) DO UPDATE SET dead = excluded.dead
            """);
    }

    private void FormLanes(long now) =>
        fresh.Execute(
            """
            INSERT INTO lane (queue, name, head_id, head_position, origin, visible_at, wait, attempts, last_error)
            SELECT queue, lane, id, min(position), origin,
                iif(asked_by_server AND not_before > $now, not_before, $now), iif(asked_by_server AND not_before > $now, 2, 0),
                attempts, last_error
            FROM entry GROUP BY queue, lane
            """,
            ("$now", now));

    private void CopyPauses() =>
        Scan(
            "SELECT name, pause_cause, pause_reason, paused_at FROM queue WHERE pause_cause IS NOT NULL",
            reader => QueueTable.SetPause(
                fresh,
                reader.GetString(0),
                new QueuePause((PauseCause)reader.GetInt32(1), reader.GetString(2), UnixTime.ToTime(reader.GetInt64(3)))));

    // A lease is not carried over: its holder is told that it was lost, and its attempt counts. Nor is the wait for a prerequisite,
    // which may not have been recovered.
    private void CopyRetryStates(long now) =>
        Scan(
            "SELECT queue, name, head_id, visible_at, wait, attempts + (lease_token IS NOT NULL), last_error, lease_token FROM lane",
            reader => fresh.Execute(
                """
                UPDATE lane SET
                    visible_at = iif($wait = 3, visible_at, $visible_at),
                    wait = iif($wait = 3, wait, $wait),
                    attempts = $attempts,
                    last_error = $last_error
                WHERE queue = $queue AND name = $lane AND head_id = $id
                """,
                ("$queue", reader.GetString(0)),
                ("$lane", reader.GetString(1)),
                ("$id", reader.GetInt64(2)),
                ("$visible_at", reader.IsDBNull(7) ? reader.GetInt64(3) : now),
                ("$wait", reader.GetInt64(4)),
                ("$attempts", reader.GetInt64(5)),
                ("$last_error", reader.GetValue(6))));

    // No id is ever given twice, that of an entry which could not be recovered included.
    private void CopySequences()
    {
        // An entry that dies takes its id along.
        const string EntryIds = "(SELECT id FROM entry UNION ALL SELECT id FROM dead_letter UNION ALL SELECT id FROM receipt)";
        foreach (var (table, key, used) in (ReadOnlySpan<(string, string, string)>)
            [("entry", "id", EntryIds), ("dead_letter", "ordinal", "dead_letter"), ("held", "id", "held"), ("body", "id", "body")])
        {
            Try(() => damaged.QueryInt64("SELECT seq FROM sqlite_sequence WHERE name = $table", ("$table", table)), out var before);
            var now = fresh.QueryInt64($"SELECT max({key}) FROM {used}");
            fresh.Execute("DELETE FROM sqlite_sequence WHERE name = $table", ("$table", table));
            fresh.Execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES ($table, $seq)",
                ("$table", table), ("$seq", Math.Max(before ?? 0, now ?? 0)));
        }
    }

    private long LastKey(string table, string key)
    {
        if (Try(() => damaged.QueryInt64($"SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1"), out var last))
        {
            return last ?? 0;
        }

        return Try(() => damaged.QueryInt64("SELECT seq FROM sqlite_sequence WHERE name = $table", ("$table", table)), out last)
            ? last ?? int.MaxValue
            : int.MaxValue;
    }

    private void Scan(string sql, Action<SqliteRows> copy)
    {
        try
        {
            using var reader = damaged.Query(sql);
            while (reader.Read())
            {
                copy(reader);
            }
        }
        catch (SqliteException exception) when (IsOfDamagedFile(exception))
        {
            // The rows read so far are kept.
        }
    }

    private static bool Try(Func<long?> read, out long? value)
    {
        try
        {
            value = read();
            return true;
        }
        catch (SqliteException exception) when (IsOfDamagedFile(exception))
        {
            value = null;
            return false;
        }
    }

    private void CommitNowAndThen()
    {
        if (++_uncommitted % RowsPerCommit == 0)
        {
            fresh.Execute("COMMIT");
            fresh.Execute("BEGIN IMMEDIATE");
        }
    }

    private static bool IsOfDamagedFile(SqliteException exception) =>
        SqliteFaults.IsCorruption(exception) || exception.SqliteErrorCode is SQLitePCL.raw.SQLITE_ERROR or SQLitePCL.raw.SQLITE_IOERR;
}

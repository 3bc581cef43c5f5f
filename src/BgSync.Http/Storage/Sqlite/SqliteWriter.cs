namespace BgSync.Http.Storage.Sqlite;

/// <summary>The connection that writes.</summary>
internal sealed class SqliteWriter(SqliteDatabase database, SqliteReaders readers)
    : GroupCommitter<SqliteSession>("BgSync SQLite writer")
{
    // Below this many free pages (4 MiB) the file keeps them for what comes next.
    private const long SparePages = 1024;

    // Few enough to take a few milliseconds, after which whatever waits comes first.
    private const long PagesPerVacuum = 256;

    private volatile SqliteSession? _session;
    private bool? _flushes;

    /// <summary>Whether the database is open and, as far as is known, whole.</summary>
    public bool IsOpen => _session is not null && !database.IsCorrupt;

    protected override SqliteSession Open()
    {
        if (database.IsCorrupt)
        {
            Close();
        }

        return _session ??= database.OpenForWriting(readers);
    }

    protected override void Begin(SqliteSession session, bool flushes)
    {
        if (_flushes != flushes)
        {
            // Without it a commit is written to the log, in order, and the log is flushed by a later one.
            session.RunScript(flushes ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
            _flushes = flushes;
        }

        session.Execute("BEGIN IMMEDIATE");
    }

    protected override void Commit(SqliteSession session) => session.Execute("COMMIT");

    protected override void Flush()
    {
        try
        {
            if (_session is { } session)
            {
                Begin(session, flushes: true);
                // A commit that has written nothing flushes nothing.
                session.RunScript($"PRAGMA user_version = {SqliteSchema.Version}");
                Commit(session);
            }
        }
        catch (Exception exception)
        {
            // The next operation meets the same fault, and has somebody to tell.
            Abort(exception);
        }
    }

    protected override Exception Abort(Exception failure)
    {
        if (SqliteFaults.IsCorruption(failure))
        {
            database.MarkCorrupt();
        }

        if (SqliteFaults.SpoilsConnection(failure))
        {
            Close();
            return database.Describe(failure);
        }

        try
        {
            _session?.TryRollBack();
        }
        catch (Exception)
        {
            // A connection that cannot even roll back is given up; closing it rolls back.
            Close();
        }

        return database.Describe(failure);
    }

    /// <summary>Gives space back.</summary>
    protected override bool Tidy()
    {
        try
        {
            while (!IsAwaited && _session is { } session)
            {
                if (!HasSpareSpace(session))
                {
                    return false;
                }

                // Returns a row for each page, and frees no further when it is not read to its end.
                using var reader = session.Query($"PRAGMA incremental_vacuum({PagesPerVacuum})");
                while (reader.Read())
                {
                }
            }

            return _session is not null;
        }
        catch (Exception exception)
        {
            // The next operation meets the same fault, and has somebody to tell.
            Abort(exception);
            return false;
        }
    }

    protected override void Close()
    {
        _session?.Dispose();
        _session = null;
        _flushes = null;
    }

    // A queue that keeps its length needs the space again; one that has shrunk does not.
    private static bool HasSpareSpace(SqliteSession session)
    {
        var free = session.QueryInt64("PRAGMA freelist_count") ?? 0;
        return free > SparePages && free > session.QueryInt64("PRAGMA page_count") / 2;
    }
}

namespace BgSync.Http.Storage.Sqlite;

/// <summary>A few connections that read while the writer writes. Each read is short, so that the log can be checkpointed.</summary>
internal sealed class SqliteReaders(SqliteDatabase database) : IDisposable
{
    private const int Most = 4;

    private readonly SemaphoreSlim _slots = new(Most, Most);
    private readonly Stack<SqliteSession> _idle = new();
    private readonly HashSet<string> _statements = [];

    /// <summary>The texts of the statements that were run.</summary>
    public IReadOnlyCollection<string> Statements
    {
        get
        {
            lock (_idle)
            {
                return [.. _statements];
            }
        }
    }

    /// <summary>How many pages the connections that are idle now have looked at.</summary>
    public long PagesVisited
    {
        get
        {
            lock (_idle)
            {
                return _idle.Sum(session => session.PagesVisited);
            }
        }
    }

    /// <summary>Reads from one state of the database, off the caller's thread: SQLite waits for the disk where it stands.</summary>
    public async ValueTask<T> ReadAsync<T>(Func<SqliteSession, T> read, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => Read(read), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _slots.Release();
        }
    }

    /// <summary>Closes all connections, and keeps them closed until the result is disposed of.</summary>
    public IDisposable Quiesce()
    {
        for (var i = 0; i < Most; i++)
        {
            _slots.Wait();
        }

        CloseIdle();
        return new Quiet(_slots);
    }

    public void Dispose()
    {
        Quiesce();
        _slots.Dispose();
    }

    private T Read<T>(Func<SqliteSession, T> read)
    {
        SqliteSession? session = null;
        try
        {
            session = TakeIdle() ?? database.OpenForReading();
            session.Execute("BEGIN");
            var result = read(session);
            session.Execute("COMMIT");
            Return(session);
            return result;
        }
        catch (Exception exception)
        {
            session?.Dispose();
            if (SqliteFaults.IsCorruption(exception))
            {
                database.MarkCorrupt();
            }

            throw database.Describe(exception);
        }
    }

    private SqliteSession? TakeIdle()
    {
        lock (_idle)
        {
            return _idle.TryPop(out var session) ? session : null;
        }
    }

    private void Return(SqliteSession session)
    {
        lock (_idle)
        {
            _statements.UnionWith(session.Statements);
            _idle.Push(session);
        }
    }

    private void CloseIdle()
    {
        while (TakeIdle() is { } session)
        {
            session.Dispose();
        }
    }

    private sealed class Quiet(SemaphoreSlim slots) : IDisposable
    {
        public void Dispose() => slots.Release(Most);
    }
}

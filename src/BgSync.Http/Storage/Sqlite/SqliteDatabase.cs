using System.Collections.Concurrent;
using BgSync.Http.Storage.Files;
using BgSync.Http.Storage.Format;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The database file: who may see it, what it must be, and what to do when it is damaged.</summary>
internal sealed class SqliteDatabase(SqliteStoreOptions options, TimeProvider timeProvider, ILogger logger) : IDisposable
{
    // To what the write-ahead log is cut back after a large body.
    private const long LargestIdleLog = 8 << 20;

    // One at a time in a process: closing a file that SQLite has open elsewhere in the process would drop SQLite's own locks on it.
    private static readonly Lock _opening = new();

    // Taken over when the database was opened, before anybody could be told.
    private readonly ConcurrentQueue<ReclaimedWork> _reclaimed = [];

    private string? _path;
    private OwnerLock? _ownerLock;
    private volatile bool _isCorrupt;

    /// <summary>The name of this store to other stores on the same file.</summary>
    public Guid Owner { get; } = Guid.NewGuid();

    public string Path => _path ??= SqlitePath.Of(options);

    /// <summary>Whether damage was found since the database was opened.</summary>
    public bool IsCorrupt => _isCorrupt;

    /// <summary>The work that was taken over of dead owners since this was last asked.</summary>
    public ReclaimedWork TakeReclaimed()
    {
        var taken = ReclaimedWork.None;
        while (_reclaimed.TryDequeue(out var work))
        {
            taken += work;
        }

        return taken;
    }

    /// <summary>Has the next opening move the file aside and recover what can be read.</summary>
    public void MarkCorrupt()
    {
        _isCorrupt = true;
        SqliteQueueStore.Log.DamageFound(logger, Path);
    }

    /// <summary>Opens the database to be written, making or recovering it if need be.</summary>
    public SqliteSession OpenForWriting(SqliteReaders readers)
    {
        var path = Path;
        lock (_opening)
        {
            try
            {
                PrivateFile.CreateFolder(System.IO.Path.GetDirectoryName(path)!);
                _ownerLock ??= OwnerLock.Take(path, Owner);
                SqliteRecovery.FinishInterrupted(path, timeProvider);
                PrivateFile.CreateIfAbsent(path);
                return _isCorrupt && SqliteRecovery.HasOurHeader(path) ? Recover(path, readers) : OpenOrRecover(path, readers);
            }
            catch (Exception exception) when (exception is not QueueStoreException)
            {
                throw Describe(exception);
            }
        }
    }

    /// <summary>The exception that a caller gets; one that is no fault of the storage stays as it is.</summary>
    public Exception Describe(Exception exception) => SqliteFaults.Describe(exception, _path ?? "the queue store");

    /// <summary>Opens another connection, that only reads, to the database that is open for writing.</summary>
    public SqliteSession OpenForReading()
    {
        var session = Connect(Path, SqliteOpenMode.ReadWrite);
        try
        {
            session.RunScript($"PRAGMA busy_timeout = {BusyTimeout}; PRAGMA query_only = ON;");
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    public void Dispose() => _ownerLock?.Dispose();

    private long BusyTimeout => (long)options.BusyTimeout.TotalMilliseconds;

    private SqliteSession OpenOrRecover(string path, SqliteReaders readers)
    {
        try
        {
            RefuseForeign(path);
            var session = OpenWhole(path);
            _isCorrupt = false;
            return session;
        }
        catch (SqliteException exception) when (SqliteFaults.IsCorruption(exception))
        {
            return Recover(path, readers);
        }
    }

    // Looks before it writes: even to close a foreign database that was opened for writing may change it.
    private void RefuseForeign(string path)
    {
        using var session = ConnectIfReadable(path);
        if (session is not null)
        {
            RefuseForeign(session, path);
        }
    }

    private static void RefuseForeign(SqliteSession session, string path)
    {
        if (SqliteSchema.FindRefusal(session) is { } refusal)
        {
            throw SqliteFaults.NotAStore(path, refusal);
        }
    }

    private SqliteSession? ConnectIfReadable(string path)
    {
        var session = Connect(path, SqliteOpenMode.ReadOnly);
        try
        {
            session.QueryInt64("PRAGMA application_id");
            return session;
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode is SQLitePCL.raw.SQLITE_READONLY)
        {
            // A transaction of a process that died is to be rolled back first, which takes the right to write.
            session.Dispose();
            return null;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    private SqliteSession OpenWhole(string path)
    {
        var session = Connect(path, SqliteOpenMode.ReadWrite);
        try
        {
            RefuseForeign(session, path);
            Configure(session, path);
            SqliteSchema.Probe(session);
            SweepBodies(session, path);
            ReclaimWriteAheads(session, path);
            SqliteQueueStore.Log.Opened(logger, path);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    private void Configure(SqliteSession session, string path)
    {
        session.RunScript(
            $"PRAGMA busy_timeout = {BusyTimeout}; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = {LargestIdleLog};");

        // The schema is made before there is a write-ahead log, so that the file itself always says whose it is.
        SqliteSchema.Migrate(session);
        using var reader = session.Query("PRAGMA journal_mode = WAL");
        if (!reader.Read() || reader.GetString(0) != "wal")
        {
            throw new QueueStoreException(
                StoreFault.Unavailable,
                $"The file system of '{path}' does not support SQLite's write-ahead log. Put the store on a local disk.");
        }
    }

    private static void SweepBodies(SqliteSession session, string path)
    {
        foreach (var (id, owner) in BodyTable.FindUnfinished(session))
        {
            if (OwnerLock.IsDead(path, owner))
            {
                BodyTable.Delete(session, id);
            }
        }
    }

    // At once, so that nothing which is sent from now on overtakes what was sent before.
    private void ReclaimWriteAheads(SqliteSession session, string path)
    {
        var dead = WriteAheadTable.FindOwners(session).FindAll(owner => owner != Owner && OwnerLock.IsDead(path, owner));
        if (dead.Count == 0)
        {
            return;
        }

        var now = UnixTime.Of(timeProvider.GetUtcNow());
        session.Execute("BEGIN IMMEDIATE");
        var work = dead.Aggregate(ReclaimedWork.None, (work, owner) => work + WriteAheadTable.Reclaim(session, owner, now));
        session.Execute("COMMIT");
        _reclaimed.Enqueue(work);
    }

    private SqliteSession Recover(string path, SqliteReaders readers)
    {
        using var quiet = readers.Quiesce();
        if (!SqliteRecovery.HasOurHeader(path))
        {
            throw SqliteFaults.NotAStore(path, "is not a SQLite database of this library");
        }

        if (OwnerLock.Find(path).Any(owner => owner != Owner && !OwnerLock.IsDead(path, owner)))
        {
            throw new QueueStoreException(
                StoreFault.Corrupt,
                $"'{path}' is damaged, and cannot be moved aside while other processes have it open. End them, and it is recovered.");
        }

        var freshPath = SqliteRecovery.PathOfFresh(path);
        SqliteRecovery.DeleteFresh(path);
        PrivateFile.CreateIfAbsent(freshPath);
        SqliteSalvage.Result result;
        using (var fresh = Connect(freshPath, SqliteOpenMode.ReadWrite))
        using (var damaged = Connect(path, SqliteOpenMode.ReadOnly))
        {
            Configure(fresh, freshPath);
            result = new SqliteSalvage(damaged, fresh).Run(UnixTime.Of(timeProvider.GetUtcNow()));
        }

        var aside = SqliteRecovery.Swap(path, timeProvider);
        SqliteQueueStore.Log.Recovered(logger, path, aside, result.Entries, result.DeadLetters);
        var session = OpenWhole(path);
        _isCorrupt = false;
        return session;
    }

    private SqliteSession Connect(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = mode,
            Pooling = false,
            DefaultTimeout = Math.Max(1, (int)options.BusyTimeout.TotalSeconds),
        }.ConnectionString);
        try
        {
            connection.Open();
            return new SqliteSession(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}

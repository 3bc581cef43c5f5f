using BgSync.Http.LiteDB.Files;
using BgSync.Http.Storage.Files;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.LiteDB;

/// <summary>The database file: who may open it, what it must be, and what to do when it is damaged.</summary>
/// <remarks>
/// The path is a full one. The password is <see langword="null"/> where the file is not encrypted. A file is to be opened for nobody
/// else, and such that a flush reaches stable storage.
/// </remarks>
internal sealed partial class LiteDatabase(
    string path, string? password, ILiteSchema schema, TimeProvider timeProvider, ILogger logger, Func<string, Stream> openFile)
    : IDisposable
{
    private OwnerLock? _lock;
    private volatile bool _isCorrupt;

    public LiteDatabase(string path, string? password, ILiteSchema schema, TimeProvider timeProvider, ILogger logger)
        : this(path, password, schema, timeProvider, logger, StableFileStream.Open)
    {
    }

    public string Path => path;

    /// <summary>Whether damage was found since the database was opened.</summary>
    public bool IsCorrupt => _isCorrupt;

    /// <summary>Has the next opening move the file aside and recover what can be read.</summary>
    public void MarkCorrupt(Exception exception)
    {
        _isCorrupt = true;
        Log.DamageFound(logger, path, exception);
    }

    /// <summary>Tells that the log stays until there is space.</summary>
    public void TellOfCheckpoint(Exception exception) => Log.CheckpointFailed(logger, path, exception);

    /// <summary>The exception that a caller gets; one that is no fault of the storage stays as it is.</summary>
    public Exception Describe(Exception exception) => LiteFaults.Describe(exception, path);

    /// <summary>Opens the database, making or recovering it if need be.</summary>
    public LiteSession Open()
    {
        try
        {
            PrivateFile.CreateFolder(System.IO.Path.GetDirectoryName(path)!);

            // The system's lock on the data file would do, were the file not replaced when it is recovered.
            _lock ??= OwnerLock.Take(path, Guid.Empty);
            LiteRecovery.FinishInterrupted(path, timeProvider);
            var session = _isCorrupt ? Recover() : OpenOrRecover();
            _isCorrupt = false;
            return session;
        }
        catch (Exception exception)
        {
            throw Describe(exception);
        }
    }

    public void Dispose() => _lock?.Dispose();

    private LiteSession OpenOrRecover()
    {
        try
        {
            return OpenWhole();
        }
        catch (LiteDamageException)
        {
            return Recover();
        }
    }

    private LiteSession OpenWhole()
    {
        var files = new LiteFiles(path, password, openFile);
        try
        {
            var log = files.ReadLog();
            var version = Examine(files, log);

            // Done here and not by LiteDB, which reads the first page before it reads the log, and then adds to an old log.
            log.Apply(files.Data);
            return Prepare(files, version);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    // Looks before it writes.
    private byte Examine(LiteFiles files, LiteLog log)
    {
        if (files.ReadHeader(log) is not { } header)
        {
            files.Clear();
            return 0;
        }

        if (header.IsUnused)
        {
            return 0;
        }

        if (!header.IsOurs)
        {
            throw LiteFaults.NotAStore(
                path, header.IsLiteDB ? "is a LiteDB file of another application" : "is not a LiteDB file of this library");
        }

        return header.Version <= schema.Version
            ? header.Version
            : throw LiteFaults.NotAStore(path, "was written by a later version of this library");
    }

    private LiteSession Prepare(LiteFiles files, byte version)
    {
        var session = LiteSession.Open(files);
        try
        {
            // Before anything else, so that a file which is only half made is known again.
            session.Stamp(version);
            session.Begin();
            schema.Prepare(session, version);
            session.Commit();
            session.Stamp(schema.Version);
            Log.Opened(logger, path);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    private LiteSession Recover()
    {
        LiteRecovery.DeleteFresh(path);
        var (entries, deadLetters) = Salvage();
        var aside = LiteRecovery.Swap(path, timeProvider);
        Log.Recovered(logger, path, aside, entries, deadLetters);
        return OpenWhole();
    }

    private (int Entries, int DeadLetters) Salvage()
    {
        using var damaged = new LiteFiles(path, password, openFile);
        var log = damaged.ReadLog();
        var version = Examine(damaged, log);
        using var fresh = LiteSession.Open(new LiteFiles(LiteRecovery.PathOfFresh(path), password, openFile));
        var result = schema.Restore(fresh, new LiteSalvage(damaged, log).Read(), version);
        fresh.Stamp(schema.Version);

        // Only the data file takes the place of the damaged one.
        fresh.Checkpoint();
        return result;
    }
}

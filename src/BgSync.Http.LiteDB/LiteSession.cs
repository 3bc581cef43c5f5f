using System.Collections.Concurrent;
using BgSync.Http.LiteDB.Files;
using LiteDB;
using LiteDB.Engine;

namespace BgSync.Http.LiteDB;

/// <summary>
/// An open database, with at most one transaction. Used by one thread only: LiteDB mixes up transactions of several threads.
/// </summary>
internal sealed partial class LiteSession : IDisposable
{
    /// <summary>The log is written into the data file when it is longer than this, and nothing else is to be done.</summary>
    public const long LongLog = 1000L * LitePage.Size;

    // Where there is always something else to be done.
    private const long LongestLog = 2 * LongLog;

    // LiteDB ends the process when it finalizes a transaction that could not be ended: such an engine is never let go.
    private static readonly ConcurrentBag<LiteEngine> _neverFinalized = [];

    private readonly LiteEngine _engine;
    private readonly LiteFiles _files;
    private long _checkpointAt = LongestLog;
    private bool _isInTransaction;
    private bool _hasFailed;

    private LiteSession(LiteEngine engine, LiteFiles files)
    {
        _engine = engine;
        _files = files;
    }

    /// <summary>Whether the log is worth a <see cref="Checkpoint"/>.</summary>
    public bool HasLongLog => _files.Log.Length > LongLog;

    /// <summary>The names of the collections.</summary>
    public IEnumerable<string> Collections => Run(static engine => engine.GetCollectionNames().ToList());

    /// <summary>Opens the database in files whose log has been applied; they are closed with the session.</summary>
    public static LiteSession Open(LiteFiles files)
    {
        var session = new LiteSession(OpenEngine(files), files);
        try
        {
            session.SetPragma("UTC_DATE", true);

            // LiteDB's own checkpoint would write the data file before the log is on the disk.
            session.SetPragma("CHECKPOINT", 0);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Stamps the file as this library's, and with a version.</summary>
    public void Stamp(byte version) => SetPragma("USER_VERSION", LiteHeader.ToUserVersion(version));

    /// <summary>Begins a transaction.</summary>
    public void Begin()
    {
        if (_files.Log.Length > _checkpointAt)
        {
            TryCheckpoint();
        }

        Run(static engine => engine.BeginTrans());
        _isInTransaction = true;
    }

    /// <summary>Commits the transaction, and returns when it is on stable storage.</summary>
    /// <exception cref="IOException">It is not, and the session can no longer be used.</exception>
    public void Commit()
    {
        Changes.Save(this);
        Run(static engine => engine.Commit());
        _isInTransaction = false;
        Sync();
    }

    /// <summary>Rolls back what is under way.</summary>
    /// <returns>Whether the session can be used again.</returns>
    public bool TryRollBack()
    {
        Changes.Forget();
        if (!_isInTransaction)
        {
            return !_hasFailed;
        }

        try
        {
            // A failure inside LiteDB has rolled back already, and then this does nothing.
            _engine.Rollback();
            _isInTransaction = false;

            // LiteDB gives new pages back by writing to its log, which a checkpoint finds synced.
            Sync();
            return true;
        }
        catch (Exception)
        {
            return false;
        }
    }

    /// <summary>Writes the log into the data file, and empties it. Not within a transaction.</summary>
    /// <exception cref="IOException">The log is still there, whole; the session goes on.</exception>
    public void Checkpoint() => _engine.Checkpoint();

    /// <exception cref="LiteException">There is one with that id.</exception>
    public void Insert(string collection, BsonDocument document) =>
        Run(engine => engine.Insert(collection, [document], BsonAutoId.Int64));

    /// <returns>Whether there is a document with that id.</returns>
    public bool Update(string collection, BsonDocument document) => Run(engine => engine.Update(collection, [document])) > 0;

    /// <returns>Whether it is inserted, because there is none with that id.</returns>
    public bool Upsert(string collection, BsonDocument document) =>
        Run(engine => engine.Upsert(collection, [document], BsonAutoId.Int64)) > 0;

    /// <returns>Whether there was a document with that id.</returns>
    public bool Delete(string collection, BsonValue id) => Run(engine => engine.Delete(collection, [id])) > 0;

    /// <returns>How many there were.</returns>
    public int DeleteMany(string collection, BsonExpression predicate) =>
        Run(engine => engine.DeleteMany(collection, predicate));

    /// <summary>All that a query finds, or those before the first that is not wanted; none where there is no such collection.</summary>
    public List<BsonDocument> Find(string collection, Query query, Func<BsonDocument, bool>? isWanted = null) => Run(engine =>
    {
        var documents = new List<BsonDocument>();
        using var reader = engine.Query(collection, query);
        while (reader.Read() && isWanted?.Invoke(reader.Current.AsDocument) != false)
        {
            documents.Add(reader.Current.AsDocument);
        }

        return documents;
    });

    /// <summary>Makes an index, and its collection, unless there is one of that name.</summary>
    public void EnsureIndex(string collection, string name, BsonExpression expression, bool unique = false) =>
        Run(engine => engine.EnsureIndex(collection, name, expression, unique));

    /// <summary>Closes the database. Throws nothing.</summary>
    public void Dispose()
    {
        if (_isInTransaction && !TryRollBack())
        {
            _neverFinalized.Add(_engine);
        }

        try
        {
            if (!_hasFailed)
            {
                Checkpoint();
            }

            _engine.Dispose();
            _files.Dispose();
        }
        catch (Exception)
        {
            // The log is applied when the file is opened again.
            _files.Dispose();
        }
    }

    private void TryCheckpoint()
    {
        try
        {
            Checkpoint();
            _checkpointAt = LongestLog;
        }
        catch (IOException)
        {
            // There is no space for it, perhaps. What is in the log can be read, and more of it may fit.
            _checkpointAt = _files.Log.Length + LongLog;
        }
    }

    private static LiteEngine OpenEngine(LiteFiles files)
    {
        try
        {
            return new LiteEngine(new EngineSettings
            {
                DataStream = files.Data,
                LogStream = files.Log,

                // Not a file: what is encrypted is not to be found in it.
                TempStream = new MemoryStream(),

                // The order of strings is the same on every machine. An existing file keeps its own.
                Collation = files.Data.Length == 0 ? Collation.Binary : null,
            });
        }
        catch (Exception exception) when (LiteFaults.IsOfDamage(exception))
        {
            throw new LiteDamageException(exception);
        }
    }

    private void SetPragma(string name, BsonValue value)
    {
        if (Run(engine => engine.Pragma(name, value)))
        {
            Sync();
        }
    }

    private void Sync()
    {
        // Until it is on the disk, LiteDB knows of what may not be there.
        _hasFailed = true;
        _files.Log.Sync();
        _hasFailed = false;
    }

    private T Run<T>(Func<LiteEngine, T> call)
    {
        if (_hasFailed)
        {
            throw new InvalidOperationException("After a failure LiteDB has rolled back; what follows would be committed alone.");
        }

        try
        {
            return call(_engine);
        }
        catch (Exception exception)
        {
            _hasFailed = true;
            if (LiteFaults.IsOfDamage(exception))
            {
                throw new LiteDamageException(exception);
            }

            throw;
        }
    }
}

using BgSync.Http.Storage;

namespace BgSync.Http.LiteDB;

/// <summary>The one thread that uses the database, to write and to read.</summary>
internal sealed class LiteWriter(LiteDatabase database) : GroupCommitter<LiteSession>("BgSync LiteDB")
{
    private volatile LiteSession? _session;

    /// <summary>Whether the database is open and, as far as is known, whole.</summary>
    public bool IsOpen => _session is not null && !database.IsCorrupt;

    protected override LiteSession Open()
    {
        if (database.IsCorrupt)
        {
            Close();
        }

        return _session ??= database.Open();
    }

    // Every commit flushes: nothing says in which order the pages of several reach the disk.
    protected override void Begin(LiteSession session, bool flushes) => session.Begin();

    protected override void Commit(LiteSession session) => session.Commit();

    protected override void Flush()
    {
    }

    protected override Exception Abort(Exception failure)
    {
        if (failure is LiteDamageException)
        {
            database.MarkCorrupt(failure);
            Close();
        }
        else if (_session?.TryRollBack() is false)
        {
            Close();
        }

        return database.Describe(failure);
    }

    protected override bool Tidy()
    {
        try
        {
            if (_session is { HasLongLog: true } session)
            {
                session.Checkpoint();
            }
        }
        catch (Exception exception)
        {
            database.TellOfCheckpoint(exception);
        }

        return false;
    }

    protected override void Close()
    {
        _session?.Dispose();
        _session = null;
    }
}

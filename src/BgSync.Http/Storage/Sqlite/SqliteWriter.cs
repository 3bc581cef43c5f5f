using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>
/// The one thread that writes. Whatever waits for it is committed together, so that many callers share one flush of the disk.
/// </summary>
internal sealed class SqliteWriter : IDisposable
{
    // Bounds a transaction, and how long the first of a batch waits for the last.
    private const int MostPerCommit = 256;

    // Below this many free pages (4 MiB) the file keeps them for what comes next.
    private const long SparePages = 1024;

    // Few enough to take a few milliseconds, after which whatever waits comes first.
    private const long PagesPerVacuum = 256;

    private static readonly TimeSpan _idle = TimeSpan.FromMilliseconds(250);

    private readonly BlockingCollection<Operation> _operations = [];
    private readonly SqliteDatabase _database;
    private readonly SqliteReaders _readers;
    private readonly Lazy<Thread> _thread;
    private volatile SqliteSession? _session;
    private bool _mayHoldSpareSpace;
    private long _commits;

    public SqliteWriter(SqliteDatabase database, SqliteReaders readers)
    {
        _database = database;
        _readers = readers;
        _thread = new Lazy<Thread>(StartThread);
    }

    /// <summary>How many transactions were committed.</summary>
    public long Commits => Interlocked.Read(ref _commits);

    /// <summary>Whether the database is open and, as far as is known, whole.</summary>
    public bool IsOpen => _session is not null && !_database.IsCorrupt;

    /// <summary>Runs an operation in a transaction of the writer's thread, and returns when it is on stable storage.</summary>
    /// <remarks>An operation runs again when another of its batch fails, so it is to change nothing but the database.</remarks>
    public Task<T> RunAsync<T>(Func<SqliteSession, T> run, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<T>(cancellationToken);
        }

        _ = _thread.Value;
        var operation = new Operation<T>(run, cancellationToken);
        try
        {
            _operations.Add(operation, CancellationToken.None);
        }
        catch (InvalidOperationException)
        {
            throw new ObjectDisposedException(nameof(SqliteQueueStore));
        }

        return operation.Completion;
    }

    /// <summary>Commits what waits, and closes the database.</summary>
    public void Dispose()
    {
        _operations.CompleteAdding();
        if (_thread.IsValueCreated)
        {
            _thread.Value.Join();
        }

        _operations.Dispose();
    }

    private Thread StartThread()
    {
        var thread = new Thread(Loop) { IsBackground = true, Name = "BgSync SQLite writer" };
        thread.Start();
        return thread;
    }

    private void Loop()
    {
        var batch = new List<Operation>(MostPerCommit);
        while (!_operations.IsCompleted)
        {
            if (TakeBatch(batch))
            {
                Run(batch);
                batch.Clear();
                _mayHoldSpareSpace = true;
            }
            else if (_session is not null)
            {
                GiveSpaceBack(_session);
            }
        }

        Close();
    }

    private bool TakeBatch(List<Operation> batch)
    {
        var wait = _mayHoldSpareSpace ? _idle : Timeout.InfiniteTimeSpan;
        if (!_operations.TryTake(out var operation, wait))
        {
            return false;
        }

        do
        {
            if (!operation.CancelIfAsked())
            {
                batch.Add(operation);
            }
        }
        while (batch.Count < MostPerCommit && _operations.TryTake(out operation));
        return true;
    }

    private void Run(List<Operation> batch)
    {
        if (batch.Count == 0 || TryCommit(batch, out var failure, out var hasBegun))
        {
            return;
        }

        if (batch.Count == 1 || !hasBegun)
        {
            batch.ForEach(operation => operation.Fail(failure));
            return;
        }

        // One of them may be to blame for all: each gets a transaction of its own.
        foreach (var operation in batch)
        {
            if (!TryCommit([operation], out failure, out _))
            {
                operation.Fail(failure);
            }
        }
    }

    private bool TryCommit(List<Operation> batch, [NotNullWhen(false)] out Exception? failure, out bool hasBegun)
    {
        hasBegun = false;
        try
        {
            var session = Open();
            session.Execute("BEGIN IMMEDIATE");
            hasBegun = true;
            foreach (var operation in batch)
            {
                operation.Run(session);
            }

            session.Execute("COMMIT");
            Interlocked.Increment(ref _commits);
        }
        catch (Exception exception)
        {
            Abort(exception);
            failure = _database.Describe(exception);
            return false;
        }

        batch.ForEach(static operation => operation.Succeed());
        failure = null;
        return true;
    }

    private SqliteSession Open()
    {
        if (_database.IsCorrupt)
        {
            Close();
        }

        return _session ??= _database.OpenForWriting(_readers);
    }

    private void Abort(Exception exception)
    {
        if (SqliteFaults.IsCorruption(exception))
        {
            _database.MarkCorrupt();
        }

        if (SqliteFaults.SpoilsConnection(exception))
        {
            Close();
            return;
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
    }

    private void Close()
    {
        _session?.Dispose();
        _session = null;
    }

    private void GiveSpaceBack(SqliteSession session)
    {
        try
        {
            while (_operations.Count == 0 && (_mayHoldSpareSpace = HasSpareSpace(session)))
            {
                // Returns a row for each page, and frees no further when it is not read to its end.
                using var reader = session.Query($"PRAGMA incremental_vacuum({PagesPerVacuum})");
                while (reader.Read())
                {
                }
            }
        }
        catch (Exception exception)
        {
            // The next operation meets the same fault, and has somebody to tell.
            _mayHoldSpareSpace = false;
            Abort(exception);
        }
    }

    // A queue that keeps its length needs the space again; one that has shrunk does not.
    private static bool HasSpareSpace(SqliteSession session)
    {
        var free = session.QueryInt64("PRAGMA freelist_count") ?? 0;
        return free > SparePages && free > session.QueryInt64("PRAGMA page_count") / 2;
    }

    private abstract class Operation
    {
        public abstract bool CancelIfAsked();

        public abstract void Run(SqliteSession session);

        public abstract void Succeed();

        public abstract void Fail(Exception exception);
    }

    private sealed class Operation<T>(Func<SqliteSession, T> run, CancellationToken cancellationToken) : Operation
    {
        private readonly TaskCompletionSource<T> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private T _result = default!;

        public Task<T> Completion => _completion.Task;

        public override bool CancelIfAsked() =>
            cancellationToken.IsCancellationRequested && _completion.TrySetCanceled(cancellationToken);

        public override void Run(SqliteSession session) => _result = run(session);

        public override void Succeed() => _completion.SetResult(_result);

        public override void Fail(Exception exception) => _completion.SetException(exception);
    }
}

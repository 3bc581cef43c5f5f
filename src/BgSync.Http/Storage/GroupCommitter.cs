using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace BgSync.Http.Storage;

/// <summary>
/// The one thread that writes to a database. Whatever waits for it is committed together, so that many callers share one flush of the
/// disk.
/// </summary>
/// <typeparam name="TSession">The thing that operations run on. It is used by this thread only.</typeparam>
internal abstract class GroupCommitter<TSession> : IDisposable
    where TSession : class
{
    // Bounds a transaction, and how long the first of a batch waits for the last.
    private const int MostPerCommit = 256;

    // A commit that nobody waits for is flushed at the first rest, and in any case soon.
    private static readonly TimeSpan _rest = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan _longestUnflushed = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan _idle = TimeSpan.FromMilliseconds(250);

    private readonly BlockingCollection<Operation> _operations = [];
    private readonly Lazy<Thread> _thread;
    private bool _mayTidy;
    private long? _unflushedSince;
    private long _commits;

    /// <param name="threadName">The thread's name; it is started by the first operation.</param>
    protected GroupCommitter(string threadName) => _thread = new Lazy<Thread>(() => StartThread(threadName));

    /// <summary>How many transactions were committed.</summary>
    public long Commits => Interlocked.Read(ref _commits);

    /// <summary>Whether operations wait for what runs now.</summary>
    protected bool IsAwaited => _operations.Count > 0;

    /// <summary>Runs an operation in a transaction of the thread, and returns when it is on stable storage.</summary>
    /// <remarks>An operation runs again when another of its batch fails, so it is to change nothing but the database.</remarks>
    public Task<T> RunAsync<T>(Func<TSession, T> run, CancellationToken cancellationToken) =>
        AddAsync(run, awaitsFlush: true, cancellationToken);

    /// <summary>
    /// Runs an operation in a transaction of the thread, and returns when it is committed: the death of the process does not undo it. It
    /// is on stable storage soon, and before whatever is committed after it.
    /// </summary>
    /// <inheritdoc cref="RunAsync" path="/remarks"/>
    public Task<T> RunUnflushedAsync<T>(Func<TSession, T> run, CancellationToken cancellationToken) =>
        AddAsync(run, awaitsFlush: false, cancellationToken);

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

    /// <summary>The database, opened if it is not.</summary>
    protected abstract TSession Open();

    /// <summary>Begins a transaction.</summary>
    /// <param name="session">The database.</param>
    /// <param name="flushes">Whether its commit, and all before it, are to be on stable storage when it returns.</param>
    protected abstract void Begin(TSession session, bool flushes);

    /// <summary>Commits the transaction.</summary>
    protected abstract void Commit(TSession session);

    /// <summary>Brings what is committed to stable storage. Throws nothing.</summary>
    protected abstract void Flush();

    /// <summary>Rolls back what is under way after a failure, or closes the database where that cannot be done. Throws nothing.</summary>
    /// <returns>The exception that the callers get.</returns>
    protected abstract Exception Abort(Exception failure);

    /// <summary>Does some of the work that waits until nobody else does, and returns as soon as somebody does. Throws nothing.</summary>
    /// <returns>Whether there may be more of it when nothing else has happened.</returns>
    protected abstract bool Tidy();

    /// <summary>Closes the database if it is open.</summary>
    protected abstract void Close();

    private Task<T> AddAsync<T>(Func<TSession, T> run, bool awaitsFlush, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<T>(cancellationToken);
        }

        _ = _thread.Value;
        var operation = new Operation<T>(run, awaitsFlush, cancellationToken);
        try
        {
            _operations.Add(operation, CancellationToken.None);
        }
        catch (InvalidOperationException)
        {
            throw new ObjectDisposedException(nameof(IQueueStore));
        }

        return operation.Completion;
    }

    private Thread StartThread(string name)
    {
        var thread = new Thread(Loop) { IsBackground = true, Name = name };
        // Nothing of the caller whose operation is the first, a trace or a transaction, belongs to those that follow.
        thread.UnsafeStart();
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
                _mayTidy = true;
            }
            else if (_unflushedSince is not null)
            {
                FlushRest();
            }
            else
            {
                _mayTidy = Tidy();
            }
        }

        FlushRest();
        Close();
    }

    private void FlushRest()
    {
        if (_unflushedSince is not null)
        {
            Flush();
            _unflushedSince = null;
        }
    }

    private bool TakeBatch(List<Operation> batch)
    {
        var patience = _unflushedSince is not null ? _rest : _mayTidy ? _idle : Timeout.InfiniteTimeSpan;
        if (!_operations.TryTake(out var operation, patience))
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
            var flushes = IsToFlush(batch);
            Begin(session, flushes);
            hasBegun = true;
            foreach (var operation in batch)
            {
                operation.Run(session);
            }

            Commit(session);
            _unflushedSince = flushes ? null : _unflushedSince ?? Stopwatch.GetTimestamp();
            Interlocked.Increment(ref _commits);
        }
        catch (Exception exception)
        {
            failure = Abort(exception);
            return false;
        }

        batch.ForEach(static operation => operation.Succeed());
        failure = null;
        return true;
    }

    private bool IsToFlush(List<Operation> batch) =>
        batch.Exists(static operation => operation.AwaitsFlush)
        || (_unflushedSince is { } since && Stopwatch.GetElapsedTime(since) >= _longestUnflushed);

    private abstract class Operation(bool awaitsFlush)
    {
        public bool AwaitsFlush => awaitsFlush;

        public abstract bool CancelIfAsked();

        public abstract void Run(TSession session);

        public abstract void Succeed();

        public abstract void Fail(Exception exception);
    }

    private sealed class Operation<T>(Func<TSession, T> run, bool awaitsFlush, CancellationToken cancellationToken)
        : Operation(awaitsFlush)
    {
        private readonly TaskCompletionSource<T> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private T _result = default!;

        public Task<T> Completion => _completion.Task;

        public override bool CancelIfAsked() =>
            cancellationToken.IsCancellationRequested && _completion.TrySetCanceled(cancellationToken);

        public override void Run(TSession session) => _result = run(session);

        public override void Succeed() => _completion.SetResult(_result);

        public override void Fail(Exception exception) => _completion.SetException(exception);
    }
}

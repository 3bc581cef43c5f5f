using System.Threading.Channels;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>
/// Sends what changes the store. Whatever waits goes out together, in one round trip and one transaction, so that many callers share one
/// flush of the server's disk.
/// </summary>
internal sealed class PostgreSqlWriter : IAsyncDisposable
{
    // While one batch is under way, the next is sent.
    private const int Loops = 2;

    // Bounds a transaction, and how long the first of a batch waits for the last.
    private const int MostPerCommit = 256;
    private const int MostBytesPerCommit = 4 << 20;

    // Each time another gets through, so that few are enough.
    private const int MostCollisions = 8;

    private readonly Channel<StoreOperation> _operations = Channel.CreateUnbounded<StoreOperation>();
    private readonly PostgreSqlConnections _connections;
    private readonly Lazy<Task> _loops;
    private long _commits;

    public PostgreSqlWriter(PostgreSqlConnections connections)
    {
        _connections = connections;
        _loops = new Lazy<Task>(StartLoops);
    }

    /// <summary>How many transactions were committed.</summary>
    public long Commits => Interlocked.Read(ref _commits);

    /// <summary>Runs a call, and returns its result when it is on stable storage.</summary>
    public Task<T> RunAsync<T>(
        FunctionCall call,
        Func<NpgsqlDataReader, Task<T>> read,
        CancellationToken cancellationToken,
        OperationLocks locks = default,
        int bytes = 0)
    {
        var operation = new AwaitedOperation<T>(read, cancellationToken) { Command = call.Build(), Locks = locks, Bytes = bytes };
        return RunAsync(operation);
    }

    /// <inheritdoc cref="RunAsync{T}(FunctionCall, Func{NpgsqlDataReader, Task{T}}, CancellationToken, OperationLocks, int)"/>
    public Task<T> RunAsync<T>(AwaitedOperation<T> operation)
    {
        _ = _loops.Value;
        ObjectDisposedException.ThrowIf(!_operations.Writer.TryWrite(operation), typeof(PostgreSqlQueueStore));
        return operation.Completion;
    }

    /// <summary>Waits until what was given to it is committed.</summary>
    public async ValueTask DisposeAsync()
    {
        _operations.Writer.TryComplete();
        if (_loops.IsValueCreated)
        {
            await _loops.Value.ConfigureAwait(false);
        }
    }

    private Task StartLoops()
    {
        // The loops outlive whoever calls first: nothing of a trace or a transaction belongs to them.
        using (ExecutionContext.SuppressFlow())
        {
            return Task.WhenAll(Enumerable.Range(0, Loops).Select(_ => Task.Run(LoopAsync)).ToArray());
        }
    }

    private async Task LoopAsync()
    {
        var batch = new List<StoreOperation>();
        while (await _operations.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            Take(batch);
            if (batch.Count > 0)
            {
                await RunAsync(batch).ConfigureAwait(false);
                batch.Clear();
            }
        }
    }

    private void Take(List<StoreOperation> batch)
    {
        for (var bytes = 0; batch.Count < MostPerCommit && bytes < MostBytesPerCommit && _operations.Reader.TryPeek(out var next);)
        {
            // One that locks many lanes is sent alone. Should another loop take what was seen, it gets the one behind that.
            if (batch.Count > 0 && next.Locks.AreWide || !_operations.Reader.TryRead(out var operation))
            {
                return;
            }

            if (!operation.CancelIfAsked())
            {
                batch.Add(operation);
                bytes += operation.Bytes;
            }

            if (operation.Locks.AreWide)
            {
                return;
            }
        }
    }

    private async Task RunAsync(List<StoreOperation> batch)
    {
        for (var rest = batch; rest.Count > 0;)
        {
            var failure = await TryCommitAsync(rest).ConfigureAwait(false);
            if (failure is null)
            {
                rest.ForEach(static operation => operation.Succeed());
                return;
            }

            if (rest.Count == 1 || failure is not PostgresException postgres || PostgreSqlFaults.IsBroken(failure))
            {
                var told = _connections.Describe(failure);
                rest.ForEach(operation => operation.Fail(told));
                return;
            }

            // The one to blame gets a transaction of its own, and so does each where that is not known.
            var guilty = rest.FindIndex(operation => operation.Command == postgres.BatchCommand);
            foreach (var alone in guilty < 0 ? rest : [rest[guilty]])
            {
                await RunAsync([alone]).ConfigureAwait(false);
            }

            rest = guilty < 0 ? [] : [.. rest[..guilty], .. rest[(guilty + 1)..]];
        }
    }

    /// <returns>Why it failed; <see langword="null"/> when it is committed.</returns>
    private async Task<Exception?> TryCommitAsync(List<StoreOperation> batch)
    {
        for (var (collisions, breaks) = (0, 0); ;)
        {
            var isSent = false;
            try
            {
                await using var connection = await _connections.OpenAsync(CancellationToken.None).ConfigureAwait(false);
                isSent = true;
                await CommitAsync(connection, batch).ConfigureAwait(false);
                Interlocked.Increment(ref _commits);
                return null;
            }
            catch (Exception exception) when (PostgreSqlFaults.IsCollision(exception) && collisions++ < MostCollisions)
            {
                // Rolled back as a whole, in favour of another.
            }
            catch (Exception exception) when (isSent && PostgreSqlFaults.IsBroken(exception) && breaks++ == 0)
            {
                // The server may have restarted since the connection was last used. Every call may be made twice.
                batch.ForEach(static operation => operation.MayHaveRun = true);
            }
            catch (Exception exception)
            {
                return exception;
            }
        }
    }

    private async Task CommitAsync(NpgsqlConnection connection, List<StoreOperation> operations)
    {
        await using var batch = connection.CreateBatch();
        if (_connections.CommitsEarly)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT set_config('synchronous_commit', 'on', true)"));
        }

        if (operations.Count > 1 && LockAll(operations) is { } locking)
        {
            batch.BatchCommands.Add(locking);
        }

        var preliminaries = batch.BatchCommands.Count;
        operations.ForEach(operation => batch.BatchCommands.Add(operation.Command));

        await using var reader = await batch.ExecuteReaderAsync().ConfigureAwait(false);
        for (var i = 0; i < preliminaries; i++)
        {
            await reader.NextResultAsync().ConfigureAwait(false);
        }

        foreach (var operation in operations)
        {
            await operation.ReadAsync(reader).ConfigureAwait(false);
            await reader.NextResultAsync().ConfigureAwait(false);
        }

        // Here it is committed, or not.
        await reader.CloseAsync().ConfigureAwait(false);
    }

    private NpgsqlBatchCommand? LockAll(List<StoreOperation> operations)
    {
        var locks = operations.ConvertAll(static operation => operation.Locks);
        if (locks.TrueForAll(static known => known.IsNone))
        {
            return null;
        }

        var lanes = locks.Select(static known => known.Lane).OfType<(string Queue, string Name)>().Distinct().ToArray();
        return new FunctionCall(_connections.Schema, "lock_batch")
            .Add([.. locks.Select(static known => known.LimitedQueue).OfType<string>().Distinct()])
            .Add([.. lanes.Select(static lane => lane.Queue)])
            .Add([.. lanes.Select(static lane => lane.Name)])
            .Add([.. locks.Select(static known => known.Id).OfType<long>()])
            .Add([.. locks.Select(static known => known.LeaseToken).OfType<Guid>()])
            .Build();
    }
}

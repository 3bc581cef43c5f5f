using System.Runtime.CompilerServices;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage.Files;
using BgSync.Http.Storage.Format;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>Keeps queues in a SQLite database: the store that is used when none is named.</summary>
/// <remarks>
/// <para>Write-ahead log, flushed at each commit; callers that write at the same time share a commit. Several processes may use one
/// file on a local disk.</para>
/// <para>Entries, and the chunks of their bodies, carry checksums, because SQLite's own pages do not.</para>
/// </remarks>
internal sealed partial class SqliteQueueStore : IQueueStore, IDisposable
{
    private readonly SqliteDatabase _database;
    private readonly SqliteReaders _readers;
    private readonly SqliteWriter _writer;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private int _disposed;

    /// <summary>Creates the store; the database is opened, and made if there is none, at the first call.</summary>
    public SqliteQueueStore(SqliteStoreOptions options, TimeProvider timeProvider, ILogger<SqliteQueueStore> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.BusyTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.BusyTimeout, TimeSpan.FromHours(1));
        ArgumentNullException.ThrowIfNull(timeProvider);
        ArgumentNullException.ThrowIfNull(logger);
        _timeProvider = timeProvider;
        _logger = logger;
        _database = new SqliteDatabase(options, timeProvider, logger);
        _readers = new SqliteReaders(_database);
        _writer = new SqliteWriter(_database, _readers);
    }

    /// <summary>How many transactions were committed: less than the operations when callers share them.</summary>
    internal long Commits => _writer.Commits;

    /// <summary>The text of every statement that was run so far.</summary>
    internal async Task<IReadOnlyCollection<string>> GetStatementsAsync() =>
    [
        .. await _writer.RunAsync(static session => session.Statements.ToArray(), CancellationToken.None).ConfigureAwait(false),
        .. _readers.Statements,
    ];

    /// <summary>How many pages of the file were looked at so far, while nobody reads.</summary>
    internal async Task<long> CountPagesVisitedAsync() =>
        await _writer.RunAsync(static session => session.PagesVisited, CancellationToken.None).ConfigureAwait(false)
        + _readers.PagesVisited;

    /// <summary>Asks the connection that writes.</summary>
    internal Task<long?> QueryWriterAsync(string sql) => _writer.RunAsync(session => session.QueryInt64(sql), CancellationToken.None);

    /// <inheritdoc/>
    public async ValueTask<IStoredBodyWriter> BeginBodyAsync(CancellationToken cancellationToken)
    {
        var id = await WriteAsync(session => BodyTable.Begin(session, _database.Owner), cancellationToken).ConfigureAwait(false);
        return new SqliteBodyWriter(_writer, id);
    }

    /// <inheritdoc/>
    public async ValueTask<AddedEntry> AddAsync(NewEntry entry, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);

        // Encoded by the caller's thread: the writer's is the one that everybody waits for.
        var row = EntryRow.From(entry);
        var (added, refusal) = await WriteAsync(session => TryAdd(session, entry, row), cancellationToken).ConfigureAwait(false);
        return added ?? throw refusal!;
    }

    /// <inheritdoc/>
    public async ValueTask<long> BeginWriteAheadAsync(NewEntry entry, bool isRepeatable, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var row = EntryRow.From(entry);
        return await WriteAsync(session => BeginWriteAhead(session, entry, isRepeatable, row), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<AddedEntry?> CommitWriteAheadAsync(
        long writeAheadId, WriteAheadCommit commit, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(commit);
        var (added, refusal) = await WriteAsync(session => TryCommitWriteAhead(session, writeAheadId, commit), cancellationToken)
            .ConfigureAwait(false);
        return refusal is null ? added : throw refusal;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> DiscardWriteAheadAsync(long writeAheadId, CancellationToken cancellationToken) =>
        await WriteAsync(session => DiscardWriteAhead(session, writeAheadId), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<OriginSchedule>> GetScheduleAsync(string queue, CancellationToken cancellationToken) =>
        await ReadAsync(session => LaneTable.Schedule(session, queue), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<LeasedEntry>> LeaseAsync(
        string queue, string origin, int limit, TimeSpan duration, CancellationToken cancellationToken)
    {
        var leased = await WriteUnflushedAsync(
            session => Lease(session, LaneTable.FindDue(session, queue, origin, limit, Now), duration),
            cancellationToken).ConfigureAwait(false);
        return leased.ConvertAll(Decode);
    }

    /// <inheritdoc/>
    public async ValueTask<LeasedEntry?> LeaseLaneAsync(string queue, string lane, TimeSpan duration, CancellationToken cancellationToken)
    {
        var leased = await WriteUnflushedAsync(
            session => Lease(session, LaneTable.FindSendable(session, queue, lane, Now) is { } head ? [head] : [], duration),
            cancellationToken).ConfigureAwait(false);
        return leased.ConvertAll(Decode).SingleOrDefault();
    }

    /// <inheritdoc/>
    public async ValueTask<bool> HasEntriesAsync(string queue, string lane, CancellationToken cancellationToken) =>
        await ReadAsync(session => LaneTable.HasEntries(session, queue, lane), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<bool> RenewAsync(Lease lease, TimeSpan duration, CancellationToken cancellationToken) =>
        await WriteUnflushedAsync(
            session => LaneTable.Renew(session, lease, _database.Owner, UnixTime.After(Now, duration)),
            cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<bool> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, Lease? rest, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        return await WriteUnflushedAsync(
            session => Complete(session, delivered, rest, Now) is not null, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<Completion> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, NextLease wanted, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        ArgumentNullException.ThrowIfNull(wanted);
        var (isDone, leased) = await WriteUnflushedAsync(
            session => CompleteAndLeaseNext(session, delivered, wanted), cancellationToken).ConfigureAwait(false);
        return new Completion(isDone, leased.ConvertAll(Decode));
    }

    /// <inheritdoc/>
    public ValueTask<bool> SettleAsync(Lease lease, Settlement settlement, CancellationToken cancellationToken) =>
        settlement is Settlement.DeadLettered deadLettered
            ? DeadLetterAsync(lease, deadLettered, cancellationToken)
            : RescheduleAsync(lease, settlement.AsRetry(), cancellationToken);

    private async ValueTask<bool> RescheduleAsync(Lease lease, Settlement.Retry retry, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(retry);
        return await SettleAsync(
            lease, (session, head) => Reschedule(session, head, retry, Now), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    private async ValueTask<bool> DeadLetterAsync(Lease lease, Settlement.DeadLettered deadLettered, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(deadLettered);
        return await SettleAsync(
            lease,
            (session, head) => MoveToDeadLetters(session, head, isHead: true, deadLettered, Now),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<DeadLetter>> ExpireAsync(
        string queue, int limit, bool keep, CancellationToken cancellationToken) =>
        await WriteAsync(session => Expire(session, queue, limit, keep), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<int> ClearBackoffAsync(string queue, bool onlyEndless, CancellationToken cancellationToken) =>
        await WriteAsync(session => LaneTable.ClearBackoff(session, queue, onlyEndless, Now), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<ReclaimedWork> ReclaimAsync(CancellationToken cancellationToken)
    {
        var work = await WriteAsync(Reclaim, cancellationToken).ConfigureAwait(false);
        if (work.Leases > 0)
        {
            Log.Reclaimed(_logger, work.Leases, _database.Path);
        }

        // Taken once it is committed: an operation may run twice.
        return _database.TakeReclaimed() + work;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<QueuedEntry> ReadAsync(
        string queue, QueueEnd from, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A caller that takes one entry reads few; one that reads all soon reads many at once.
        var rows = 4;
        for (long? after = from == QueueEnd.Front ? long.MinValue : long.MaxValue; after is { } position;)
        {
            (var entries, after) = await ReadAsync(
                session => EntryTable.ReadPage(session, queue, from, position, rows, Now), cancellationToken).ConfigureAwait(false);
            foreach (var entry in entries)
            {
                yield return entry;
            }

            rows = Math.Min(rows * 4, EntryTable.PageRows);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<QueuedEntry?> FindAsync(string queue, long id, CancellationToken cancellationToken) =>
        await ReadAsync(session => EntryTable.Describe(session, queue, id, Now), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<QueuedEntry?> FindLastAsync(string queue, string coalesceKey, CancellationToken cancellationToken) =>
        await ReadAsync(session => EntryTable.DescribeLast(session, queue, coalesceKey, Now), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(string queue, long id, CancellationToken cancellationToken) =>
        await ReadAsync(session => AttemptTable.Read(session, queue, id), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<EntryChange> RemoveAsync(string queue, long id, long? revision, CancellationToken cancellationToken) =>
        await ChangeAsync(
            queue,
            id,
            revision,
            (session, standing) => Remove(session, standing.Head, standing.IsHead, Now),
            cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<EntryChange> ReplaceAsync(
        QueuedEntry edited, EntryBody? body, TimeSpan delay, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(edited);
        return await ChangeAsync(
            edited.Queue,
            edited.Id,
            edited.Revision,
            (session, standing) => Replace(session, standing, edited, body, delay),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<int> ClearAsync(string queue, int limit, CancellationToken cancellationToken) =>
        await WriteAsync(session => Clear(session, queue, limit), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async IAsyncEnumerable<DeadLetter> ReadDeadLettersAsync(
        string queue, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (long? after = long.MinValue; after is { } ordinal;)
        {
            (var letters, after) = await ReadAsync(
                session => DeadLetterTable.ReadPage(session, queue, ordinal), cancellationToken).ConfigureAwait(false);
            foreach (var letter in letters)
            {
                yield return letter;
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<Stream?> OpenBodyAsync(string queue, long id, CancellationToken cancellationToken)
    {
        var row = await ReadAsync(
            session => EntryTable.Find(session, id) ?? DeadLetterTable.FindRow(session, id), cancellationToken).ConfigureAwait(false);
        return row switch
        {
            null => null,
            { Queue: var other } when other != queue => null,
            { IsWhole: false } => new DamagedBodyStream(),
            { BodyId: { } bodyId } => new SqliteBodyStream(_readers, bodyId, row.BodyLength),
            _ => new MemoryStream(row.Body ?? [], writable: false),
        };
    }

    /// <inheritdoc/>
    public async ValueTask<QueueCounts> CountAsync(string queue, CancellationToken cancellationToken) =>
        await ReadAsync(session => QueueTable.Count(session, queue, Now), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<bool> RequeueAsync(string queue, long id, DateTimeOffset expiresAt, CancellationToken cancellationToken) =>
        await WriteAsync(session => Requeue(session, queue, id, expiresAt), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<bool> DeleteDeadLetterAsync(string queue, long id, CancellationToken cancellationToken) =>
        await WriteAsync(session => DeleteDeadLetter(session, queue, id), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<long>> TrimDeadLettersAsync(
        string queue, DateTimeOffset diedBefore, long? keep, int limit, CancellationToken cancellationToken) =>
        await WriteAsync(session => Trim(session, queue, UnixTime.Of(diedBefore), keep, limit), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<Receipt?> GetReceiptAsync(string queue, long id, CancellationToken cancellationToken) =>
        await ReadAsync(session => ReceiptTable.Find(session, queue, id), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<int> ForgetReceiptsAsync(string queue, DateTimeOffset before, int limit, CancellationToken cancellationToken) =>
        await WriteAsync(session => ReceiptTable.Forget(session, queue, UnixTime.Of(before), limit), cancellationToken)
            .ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<QueuePause?> GetPauseAsync(string queue, CancellationToken cancellationToken) =>
        await ReadAsync(session => QueueTable.GetPause(session, queue), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask SetPauseAsync(string queue, QueuePause? pause, CancellationToken cancellationToken) =>
        await WriteAsync(
            session =>
            {
                QueueTable.SetPause(session, queue, pause);
                return true;
            },
            cancellationToken).ConfigureAwait(false);

    /// <summary>Waits for what is under way and closes the database.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _writer.Dispose();
            _readers.Dispose();
            _database.Dispose();
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    private long Now => UnixTime.Of(_timeProvider.GetUtcNow());

    private Task<T> WriteAsync<T>(Func<SqliteSession, T> write, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        return _writer.RunAsync(write, cancellationToken);
    }

    private Task<T> WriteUnflushedAsync<T>(Func<SqliteSession, T> write, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        return _writer.RunUnflushedAsync(write, cancellationToken);
    }

    private async ValueTask<T> ReadAsync<T>(Func<SqliteSession, T> read, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        if (!_writer.IsOpen)
        {
            await _writer.RunAsync(static _ => true, cancellationToken).ConfigureAwait(false);
        }

        return await _readers.ReadAsync(read, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<bool> SettleAsync(
        Lease lease, Action<SqliteSession, LaneTable.Head> settle, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return await WriteAsync(
            session =>
            {
                if (LaneTable.FindLeased(session, lease, _database.Owner) is not { } head)
                {
                    return false;
                }

                settle(session, head);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<EntryChange> ChangeAsync(
        string queue, long id, long? revision, Action<SqliteSession, EntryTable.Standing> change, CancellationToken cancellationToken) =>
        await WriteAsync(
            session =>
            {
                switch (EntryTable.FindStanding(session, queue, id, Now))
                {
                    case null:
                        return EntryChange.NotFound;
                    case { IsInFlight: true }:
                        return EntryChange.InFlight;
                    case { Revision: var current } when revision is not null && revision != current:
                        return EntryChange.Outdated;
                    case var standing:
                        change(session, standing);
                        return EntryChange.Done;
                }
            },
            cancellationToken).ConfigureAwait(false);

    private static void Adopt(SqliteSession session, long? bodyId)
    {
        if (bodyId is { } id && !BodyTable.Adopt(session, id))
        {
            throw new InvalidOperationException("The body was disposed of, or belongs to another entry.");
        }
    }

    private static void RequireBefore(SqliteSession session, EntryRow row, long position)
    {
        if (row.Prerequisite is { } id && EntryTable.FindPosition(session, row.Queue, id) >= position)
        {
            throw PrerequisiteException.Behind(id);
        }
    }

    // A refusal is no failure: those who share the commit are not to run again for it.
    private (AddedEntry? Added, QueueStoreException? Refusal) TryAdd(SqliteSession session, NewEntry entry, EntryRow row)
    {
        var now = Now;
        return TryMakeRoom(session, row, entry.Limits, now, out var refusal) is { } dropped
            ? (new AddedEntry(Add(session, entry, row, now), dropped), null)
            : (null, refusal);
    }

    /// <summary>Drops what has to leave a queue for a new entry; planned before anything changes.</summary>
    /// <returns>The dropped entries; <see langword="null"/> when they would not be enough, and nothing was dropped.</returns>
    private static List<DeadLetter>? TryMakeRoom(
        SqliteSession session, EntryRow row, QueueLimits? limits, long now, out QueueStoreException? refusal)
    {
        refusal = null;
        if (limits is null || QueueTable.ExcessOf(session, row.Queue!, limits, row.BodyLength) is not { IsNone: false } excess)
        {
            return [];
        }

        if (FindDisplaced(session, row, limits, excess, now) is not { } displaced)
        {
            refusal = limits.Refuse(row.Queue!, row.BodyLength, excess);
            return null;
        }

        return displaced.ConvertAll(head => Drop(session, head, new Settlement.DeadLettered(DeadLetterCause.DroppedForSpace), now));
    }

    /// <summary>The entries that are to leave for a new one; <see langword="null"/> when they cannot make enough room.</summary>
    private static List<LaneTable.Head>? FindDisplaced(
        SqliteSession session, EntryRow row, QueueLimits limits, QueueExcess excess, long now) =>
        // Asked first, or a queue of which too much is being sent would be read to its end in vain.
        limits.MayDropFor(row.BodyLength)
            && LaneTable.ExcessWithoutIdle(session, row.Queue!, limits, row.BodyLength, row.Prerequisite, now).IsNone
            ? EntryTable.FindDisplaced(session, row.Queue!, limits.WhenFull, excess, row.Prerequisite, now)
            : null;

    private static long Add(SqliteSession session, NewEntry entry, EntryRow row, long now)
    {
        Adopt(session, row.BodyId);
        var start = new EntryStart(
            QueueTable.Enter(session, entry.Queue, entry.Priority, entry.End, row.BodyLength),
            entry.Attempts,
            entry.LastError,
            UnixTime.After(now, entry.Delay),
            entry.RequestedDelay);
        RequireBefore(session, row, start.Position);
        var id = EntryTable.Insert(session, row, start);
        LaneTable.Enter(session, row, id, start, now);
        if (entry.HasFailedAttempt)
        {
            AttemptTable.Insert(session, id, now, entry.LastStatusCode, entry.LastError);
        }

        return id;
    }

    private long BeginWriteAhead(SqliteSession session, NewEntry entry, bool isRepeatable, EntryRow row)
    {
        Adopt(session, row.BodyId);
        var start = new EntryStart(
            QueueTable.TakePosition(session, entry.Queue, entry.Priority, entry.End),
            0,
            null,
            UnixTime.After(Now, entry.Delay),
            entry.RequestedDelay);
        return WriteAheadTable.Insert(session, _database.Owner, isRepeatable, row, start);
    }

    private (AddedEntry? Added, QueueStoreException? Refusal) TryCommitWriteAhead(
        SqliteSession session, long writeAheadId, WriteAheadCommit commit)
    {
        var now = Now;
        if (WriteAheadTable.Find(session, _database.Owner, writeAheadId) is not var (row, position))
        {
            return (null, null);
        }

        if (TryMakeRoom(session, row, commit.Limits, now, out var refusal) is not { } dropped)
        {
            return (null, refusal);
        }

        WriteAheadTable.Delete(session, writeAheadId);
        var start = new EntryStart(
            position, commit.Attempts, commit.LastError, UnixTime.After(now, commit.Delay), commit.RequestedDelay);
        var id = WriteAheadTable.Enter(session, row, start, now);
        if (commit.HasFailedAttempt)
        {
            AttemptTable.Insert(session, id, now, commit.LastStatusCode, commit.LastError);
        }

        return (new AddedEntry(id, dropped), null);
    }

    private bool DiscardWriteAhead(SqliteSession session, long writeAheadId)
    {
        if (WriteAheadTable.Find(session, _database.Owner, writeAheadId) is not var (row, _))
        {
            return false;
        }

        WriteAheadTable.Delete(session, writeAheadId);
        BodyTable.Delete(session, row.BodyId);
        return true;
    }

    private List<LeasedRow> Lease(SqliteSession session, List<LaneTable.Head> heads, TimeSpan duration)
    {
        var until = UnixTime.After(Now, duration);
        return heads.ConvertAll(head =>
        {
            var token = Guid.NewGuid();
            LaneTable.Lease(session, head, head.Position, _database.Owner, token, until);
            return new LeasedRow(head, EntryTable.Find(session, head.EntryId), token, until);
        });
    }

    private List<LeasedRow> LeaseRun(SqliteSession session, LaneTable.Head head, NextLease wanted, long now)
    {
        var run = EntryTable.FindRun(session, head, wanted, now);
        if (run.Count == 0)
        {
            return Lease(session, [head], wanted.Duration);
        }

        var (token, until) = (Guid.NewGuid(), UnixTime.After(now, wanted.Duration));
        LaneTable.Lease(session, head, run[^1].Entry.Position, _database.Owner, token, until);
        return run.ConvertAll(leased => new LeasedRow(leased.Entry, leased.Row, token, until));
    }

    private static LeasedEntry Decode(LeasedRow leased)
    {
        var (head, row, token, until) = leased;
        var damage = "The entry's row is gone.";
        var entry = row?.Decode(head.EntryId, head.Attempts, head.LastError, out damage);
        return new LeasedEntry
        {
            Lease = new Lease(head.EntryId, token),
            Entry = entry is null ? null : entry with { DueAt = UnixTime.ToTime(until), IsLeased = true },
            Body = row is { BodyId: null } ? row.Body ?? [] : default(ReadOnlyMemory<byte>?),
            Damage = damage,
        };
    }

    /// <returns>The first that was removed; <see langword="null"/> when the lease was lost.</returns>
    private LaneTable.Head? Complete(SqliteSession session, IReadOnlyList<DeliveredEntry> delivered, Lease? rest, long now)
    {
        if (LaneTable.FindLeased(session, delivered[0].Lease, _database.Owner) is not { } head)
        {
            return null;
        }

        var bytes = 0L;
        foreach (var (lease, delivery) in delivered)
        {
            bytes += Delete(session, lease.EntryId, now);
            if (delivery is not null)
            {
                ReceiptTable.Insert(session, head.Queue, lease.EntryId, delivery, now);
            }
            else
            {
                ReceiptTable.InsertIfAwaited(session, head.Queue, lease.EntryId, now);
            }
        }

        QueueTable.Leave(session, head.Queue, delivered.Count, bytes);
        if (rest is null)
        {
            LaneTable.Promote(session, head.Queue, head.Lane, now);
        }
        else
        {
            LaneTable.Advance(session, head, rest.EntryId);
        }

        return head;
    }

    private (bool IsDone, List<LeasedRow> Next) CompleteAndLeaseNext(
        SqliteSession session, IReadOnlyList<DeliveredEntry> delivered, NextLease wanted)
    {
        var now = Now;
        if (Complete(session, delivered, rest: null, now) is not { } done)
        {
            return (false, []);
        }

        var head = LaneTable.FindDueOf(session, done.Queue, done.Lane, wanted.Origin, now);
        return (true, head is null || QueueTable.GetPause(session, done.Queue) is not null ? [] : LeaseRun(session, head, wanted, now));
    }

    private static void Reschedule(SqliteSession session, LaneTable.Head head, Settlement.Retry retry, long now)
    {
        if (retry.IsFailedAttempt)
        {
            AttemptTable.Insert(session, head.EntryId, now, retry.StatusCode, retry.Error);
        }

        // A damaged row is left as it is: sealed anew it would pass for a whole one.
        if (!retry.LeavesLane
            || OwnLane.Is(head.Lane, head.EntryId)
            || EntryTable.Find(session, head.EntryId) is not { IsWhole: true } row)
        {
            LaneTable.Reschedule(session, head, retry, now);
            return;
        }

        var moved = (row with { Lane = OwnLane.NameFor(head.Lane, head.EntryId) }).Sealed();
        var start = new EntryStart(
            head.Position,
            head.Attempts + (retry.CountsAsAttempt ? 1 : 0),
            retry.Error ?? head.LastError,
            UnixTime.After(now, retry.Delay),
            retry.RequestedDelay);
        EntryTable.Update(session, head.EntryId, moved, start);
        LaneTable.Enter(session, moved, head.EntryId, start, now);
        LaneTable.Promote(session, head.Queue, head.Lane, now);
    }

    private static void Remove(SqliteSession session, LaneTable.Head head, bool isHead, long now)
    {
        QueueTable.Leave(session, head.Queue, 1, Delete(session, head.EntryId, now));
        LaneTable.Lose(session, head, isHead, now);
    }

    /// <returns>How long its body was.</returns>
    private static long Delete(SqliteSession session, long id, long now)
    {
        var (bodyId, bodyLength) = TakeOut(session, id, now);
        BodyTable.Delete(session, bodyId);
        AttemptTable.Delete(session, id);
        return bodyLength;
    }

    /// <summary>Takes an entry out, and lets those go that waited for it; its queue and its lane do not know yet.</summary>
    private static (long? BodyId, long BodyLength) TakeOut(SqliteSession session, long id, long now)
    {
        var body = EntryTable.FindBody(session, id);
        EntryTable.Delete(session, id);
        LaneTable.Release(session, id, now);
        return body;
    }

    private void Replace(SqliteSession session, EntryTable.Standing standing, QueuedEntry edited, EntryBody? body, TimeSpan delay)
    {
        var now = Now;
        var head = standing.Head;
        var before = EntryTable.Find(session, head.EntryId)!;
        var row = before.With(edited, body);
        if (row.Prerequisite != before.Prerequisite)
        {
            RequireBefore(session, row, head.Position);
        }

        if (body is not null)
        {
            Adopt(session, row.BodyId);
            BodyTable.Delete(session, before.BodyId);
            QueueTable.Grow(session, head.Queue, row.BodyLength - before.BodyLength);
        }

        var notBefore = Math.Max(standing.NotBefore, delay > TimeSpan.Zero ? UnixTime.After(now, delay) : 0);
        var start = new EntryStart(head.Position, edited.Attempts, edited.LastError, notBefore, notBefore > 0);
        EntryTable.Update(session, head.EntryId, row, start);
        if (row.Lane == head.Lane && standing.IsHead)
        {
            LaneTable.Redirect(session, row, start, now);
            return;
        }

        if (row.Lane != head.Lane)
        {
            LaneTable.Enter(session, row, head.EntryId, start, now);
        }

        LaneTable.Lose(session, head, standing.IsHead, now);
    }

    private int Clear(SqliteSession session, string queue, int limit)
    {
        var now = Now;
        var idle = EntryTable.FindIdle(session, queue, limit, now);
        foreach (var entry in idle)
        {
            // Asked again for each: the one before may have made this one the head of its lane.
            Remove(session, entry, LaneTable.IsHead(session, entry), now);
        }

        return idle.Count;
    }

    private static void MoveToDeadLetters(
        SqliteSession session, LaneTable.Head head, bool isHead, Settlement.DeadLettered deadLettered, long now)
    {
        ReceiptTable.Insert(session, head.Queue, head.EntryId, deadLettered, now);
        if (!deadLettered.IsKept)
        {
            Remove(session, head, isHead, now);
            return;
        }

        DeadLetterTable.Insert(session, head, deadLettered, now);
        if (deadLettered.IsOfAttempt)
        {
            AttemptTable.Insert(session, head.EntryId, now, deadLettered.StatusCode, deadLettered.Error);
        }

        QueueTable.Leave(session, head.Queue, 1, TakeOut(session, head.EntryId, now).BodyLength);
        LaneTable.Lose(session, head, isHead, now);
    }

    private List<DeadLetter> Expire(SqliteSession session, string queue, int limit, bool keep)
    {
        var now = Now;
        return EntryTable.FindExpired(session, queue, limit, now)
            .ConvertAll(head => Drop(session, head, new Settlement.DeadLettered(DeadLetterCause.Expired, IsKept: keep), now));
    }

    private static DeadLetter Drop(SqliteSession session, LaneTable.Head head, Settlement.DeadLettered deadLettered, long now)
    {
        var letter = new DeadLetter
        {
            Id = head.EntryId,
            Queue = head.Queue,
            Entry = EntryTable.Find(session, head.EntryId)?.Decode(head.EntryId, head.Attempts, head.LastError, out _),
            Cause = deadLettered.Cause,
            Error = deadLettered.Error,
            StatusCode = deadLettered.StatusCode,
            History = AttemptTable.Read(session, head.Queue, head.EntryId),
            DeadLetteredAt = UnixTime.ToTime(now),
        };

        // Asked now: one that was dropped before may have made this one the head of its lane.
        MoveToDeadLetters(session, head, LaneTable.IsHead(session, head), deadLettered, now);
        return letter;
    }

    private bool Requeue(SqliteSession session, string queue, long id, DateTimeOffset expiresAt)
    {
        if (DeadLetterTable.Find(session, queue, id) is not { Entry: not null } || DeadLetterTable.FindRow(session, id) is not { } dead)
        {
            return false;
        }

        var now = Now;
        var row = (dead with { ExpiresAt = UnixTime.Of(expiresAt), CoalesceKey = null }).Sealed();
        DeadLetterTable.Delete(session, queue, id);
        ReceiptTable.Delete(session, id);
        var position = QueueTable.Enter(session, queue, (EntryPriority)row.Priority, QueueEnd.Back, row.BodyLength);
        var start = new EntryStart(position, 0, null, now, false);
        EntryTable.Insert(session, row, start, id);
        LaneTable.Enter(session, row, id, start, now);
        LaneTable.Block(session, id);
        return true;
    }

    private static bool DeleteDeadLetter(SqliteSession session, string queue, long id)
    {
        if (DeadLetterTable.Find(session, queue, id) is null)
        {
            return false;
        }

        DeleteDeadLetter(session, queue, id, DeadLetterTable.FindRow(session, id)?.BodyId);
        return true;
    }

    private static void DeleteDeadLetter(SqliteSession session, string queue, long id, long? bodyId)
    {
        BodyTable.Delete(session, bodyId);
        AttemptTable.Delete(session, id);
        DeadLetterTable.Delete(session, queue, id);
    }

    private static List<long> Trim(SqliteSession session, string queue, long diedBefore, long? keep, int limit)
    {
        var surplus = keep is null ? 0 : QueueTable.CountDead(session, queue) - keep.Value;
        return DeadLetterTable.FindFirst(session, queue, limit)
            .TakeWhile((letter, index) => index < surplus || letter.DeadLetteredAt < diedBefore)
            .Select(letter =>
            {
                DeleteDeadLetter(session, queue, letter.Id, letter.BodyId);
                return letter.Id;
            })
            .ToList();
    }

    private ReclaimedWork Reclaim(SqliteSession session)
    {
        var path = _database.Path;
        var unfinished = BodyTable.FindUnfinished(session);
        var dead = LaneTable.FindOwners(session)
            .Concat(WriteAheadTable.FindOwners(session))
            .Concat(unfinished.Select(static body => body.Owner))
            .Concat(OwnerLock.Find(path))
            .Distinct()
            .Where(owner => owner != _database.Owner && OwnerLock.IsDead(path, owner))
            .ToHashSet();
        foreach (var (id, _) in unfinished.Where(body => dead.Contains(body.Owner)))
        {
            BodyTable.Delete(session, id);
        }

        // Without its file an owner is as dead as with it, should this transaction not come to its end.
        foreach (var owner in dead)
        {
            OwnerLock.RemoveDead(path, owner);
        }

        var now = Now;
        return dead.Aggregate(
            ReclaimedWork.None,
            (work, owner) => work + WriteAheadTable.Reclaim(session, owner, now) with { Leases = LaneTable.Void(session, owner, now) });
    }

    private sealed record LeasedRow(LaneTable.Head Head, EntryRow? Row, Guid Token, long Until);
}

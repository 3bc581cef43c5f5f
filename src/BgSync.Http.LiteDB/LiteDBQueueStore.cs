using System.Runtime.CompilerServices;
using BgSync.Http.LiteDB.Collections;
using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using LiteDB;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.LiteDB;

/// <summary>Keeps queues in a LiteDB file: each queue is a collection that bears its name, each entry a document that can be read.</summary>
/// <remarks>
/// <para>Flushed at each commit; callers that write at the same time share a commit. One store at a time has the file: a second one, in
/// this process or another, is refused (<see cref="StoreFault.Locked"/>).</para>
/// <para>Entries, and the chunks of their bodies, carry checksums, because LiteDB's own pages do not.</para>
/// </remarks>
internal sealed partial class LiteDBQueueStore : IQueueStore, IDisposable
{
    private const int PageRows = 64;

    // Keeps a page of entries with large inline bodies from filling the memory.
    private const long PageBytes = 1 << 20;

    private readonly LiteSchema _schema;
    private readonly LiteDatabase _database;
    private readonly LiteWriter _writer;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private int _sweeping;
    private int _disposed;

    /// <summary>Creates the store; the database is opened, and made if there is none, at the first call.</summary>
    /// <exception cref="ArgumentException">The options name no file.</exception>
    public LiteDBQueueStore(LiteDBStoreOptions options, TimeProvider timeProvider, ILogger<LiteDBQueueStore> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(timeProvider);
        ArgumentNullException.ThrowIfNull(logger);
        var (path, password) = LitePath.Of(options);
        _timeProvider = timeProvider;
        _logger = logger;
        _schema = new LiteSchema(Guid.NewGuid(), timeProvider);
        _database = new LiteDatabase(path, password, _schema, timeProvider, logger);
        _writer = new LiteWriter(_database);
    }

    /// <summary>How many transactions were committed: less than the operations when callers share them.</summary>
    internal long Commits => _writer.Commits;

    private long Now => UnixTime.Of(_timeProvider.GetUtcNow());

    /// <inheritdoc/>
    public async ValueTask<IStoredBodyWriter> BeginBodyAsync(CancellationToken cancellationToken)
    {
        var id = await RunAsync(BodyCollection.Begin, cancellationToken).ConfigureAwait(false);
        return new LiteBodyWriter(_writer, id);
    }

    /// <inheritdoc/>
    public async ValueTask<AddedEntry> AddAsync(NewEntry entry, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);

        // Encoded by the caller's thread: the store's is the one that everybody waits for.
        var row = EntryRow.From(entry);
        var (added, refusal) = await RunAsync(session => TryAdd(session, entry, row), cancellationToken).ConfigureAwait(false);
        return added ?? throw refusal!;
    }

    /// <inheritdoc/>
    public async ValueTask<long> BeginWriteAheadAsync(NewEntry entry, bool isRepeatable, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var row = EntryRow.From(entry);
        return await RunAsync(session => BeginWriteAhead(session, entry, isRepeatable, row), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<AddedEntry?> CommitWriteAheadAsync(
        long writeAheadId, WriteAheadCommit commit, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(commit);
        var (added, refusal) = await RunAsync(session => TryCommitWriteAhead(session, writeAheadId, commit), cancellationToken)
            .ConfigureAwait(false);
        return refusal is null ? added : throw refusal;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> DiscardWriteAheadAsync(long writeAheadId, CancellationToken cancellationToken) =>
        await RunAsync(session => DiscardWriteAhead(session, writeAheadId), cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<OriginSchedule>> GetScheduleAsync(string queue, CancellationToken cancellationToken) =>
        await OfAsync(queue, LaneCollection.Schedule, [], cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<LeasedEntry>> LeaseAsync(
        string queue, string origin, int limit, TimeSpan duration, CancellationToken cancellationToken)
    {
        var leased = await OfAsync(
            queue,
            (session, found) =>
            {
                var now = Now;
                return LaneCollection.FindDue(session, found, origin, limit, now)
                    .ConvertAll(lane => Lease(session, found, lane, UnixTime.After(now, duration)));
            },
            [],
            cancellationToken).ConfigureAwait(false);
        return leased.ConvertAll(Decode);
    }

    /// <inheritdoc/>
    public async ValueTask<LeasedEntry?> LeaseLaneAsync(string queue, string lane, TimeSpan duration, CancellationToken cancellationToken)
    {
        var leased = await OfAsync(
            queue,
            (session, found) =>
            {
                var now = Now;
                return LaneCollection.FindSendable(session, found, lane, now) is { } sendable
                    ? Lease(session, found, sendable, UnixTime.After(now, duration))
                    : null;
            },
            null,
            cancellationToken).ConfigureAwait(false);
        return leased is null ? null : Decode(leased);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> HasEntriesAsync(string queue, string lane, CancellationToken cancellationToken) =>
        await OfAsync(queue, (session, found) => LaneCollection.Find(session, found, lane) is not null, false, cancellationToken)
            .ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<bool> RenewAsync(Lease lease, TimeSpan duration, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return await RunAsync(
            session =>
            {
                if (LeaseCollection.Find(session, lease.Token, session.Owner) is not var (_, lane))
                {
                    return false;
                }

                LaneCollection.Renew(session, lane, UnixTime.After(Now, duration));
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, Lease? rest, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        return await SettleAsync(
            delivered[0].Lease, (session, queue, lane) => Complete(session, queue, lane, delivered, rest, Now), cancellationToken)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<Completion> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, NextLease wanted, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        ArgumentNullException.ThrowIfNull(wanted);
        List<LeasedDocument> leased = [];
        var isDone = await SettleAsync(
            delivered[0].Lease,
            (session, queue, lane) =>
            {
                var now = Now;
                Complete(session, queue, lane, delivered, rest: null, now);
                leased = LeaseNext(session, queue, lane.Name, wanted, now);
            },
            cancellationToken).ConfigureAwait(false);

        // Where it ran twice, what the first run leased was rolled back.
        return new Completion(isDone, isDone ? leased.ConvertAll(Decode) : []);
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
            lease, (session, queue, lane) => Reschedule(session, queue, lane, retry, Now), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    private async ValueTask<bool> DeadLetterAsync(Lease lease, Settlement.DeadLettered deadLettered, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(deadLettered);
        return await SettleAsync(
            lease,
            (session, queue, lane) => MoveToDeadLetters(
                session, lane.ToHead(lane.Attempts), session.Get(queue.Collection, lane.HeadId), deadLettered, Now),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<DeadLetter>> ExpireAsync(
        string queue, int limit, bool keep, CancellationToken cancellationToken) =>
        await OfAsync(queue, (session, found) => Expire(session, found, limit, keep), [], cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<int> ClearBackoffAsync(string queue, bool onlyEndless, CancellationToken cancellationToken) =>
        await OfAsync(
            queue, (session, found) => LaneCollection.ClearBackoff(session, found, onlyEndless, Now), 0, cancellationToken)
            .ConfigureAwait(false);

    /// <inheritdoc/>
    /// <remarks>Nobody else has the file, so that all there is to take over was taken over when it was opened.</remarks>
    public async ValueTask<ReclaimedWork> ReclaimAsync(CancellationToken cancellationToken)
    {
        await RunAsync(static _ => true, cancellationToken).ConfigureAwait(false);
        var work = _schema.TakeReclaimed();
        if (work.Leases > 0)
        {
            Log.Reclaimed(_logger, work.Leases, _database.Path);
        }

        return work;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<QueuedEntry> ReadAsync(
        string queue, QueueEnd from, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A caller that takes one entry reads few; one that reads all soon reads many at once.
        var rows = 4;
        for (var position = from == QueueEnd.Front ? long.MinValue : long.MaxValue; ;)
        {
            var (after, limit) = (position, rows);
            var page = await OfAsync(
                queue,
                (session, found) => EntryCollection.ReadPage(session, found, from, after, limit, Now),
                [],
                cancellationToken).ConfigureAwait(false);
            foreach (var entry in page.Select(static described => described.Decode()).OfType<QueuedEntry>())
            {
                yield return entry;
            }

            if (page.Count < limit)
            {
                yield break;
            }

            position = page[^1].Position;
            rows = page.Sum(static entry => entry.BodyBytes) > PageBytes ? 4 : Math.Min(rows * 4, PageRows);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<QueuedEntry?> FindAsync(string queue, long id, CancellationToken cancellationToken)
    {
        var described = await OfAsync(
            queue, (session, found) => EntryCollection.Describe(session, found, id, Now), null, cancellationToken).ConfigureAwait(false);
        return described?.Decode();
    }

    /// <inheritdoc/>
    public async ValueTask<QueuedEntry?> FindLastAsync(string queue, string coalesceKey, CancellationToken cancellationToken) =>
        await OfAsync(
            queue,
            (session, found) => EntryCollection.DescribeLast(session, found, coalesceKey, Now),
            null,
            cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(string queue, long id, CancellationToken cancellationToken) =>
        await OfAsync(
            queue,
            (session, found) => FindStored(session, found, id) is null ? [] : AttemptCollection.Read(session, id),
            [],
            cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<EntryChange> RemoveAsync(string queue, long id, long? revision, CancellationToken cancellationToken) =>
        await ChangeAsync(
            queue,
            id,
            revision,
            (session, standing) => Remove(session, standing.Head, standing.Document, Now),
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
        await OfAsync(queue, (session, found) => Clear(session, found, limit), 0, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async IAsyncEnumerable<DeadLetter> ReadDeadLettersAsync(
        string queue, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (BsonValue? from = null; ;)
        {
            var start = from;
            var page = await OfAsync(
                queue,
                (session, found) => DeadLetterCollection.FindFirst(session, found, PageRows, start)
                    .ConvertAll(letter => (Letter: letter, History: AttemptCollection.Read(session, letter["_id"].AsInt64))),
                [],
                cancellationToken).ConfigureAwait(false);
            foreach (var (letter, history) in page)
            {
                yield return DeadLetterCollection.Read(letter, history);
            }

            if (page.Count < PageRows)
            {
                yield break;
            }

            from = DeadLetterCollection.Order.After(page[^1].Letter);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<Stream?> OpenBodyAsync(string queue, long id, CancellationToken cancellationToken)
    {
        var document = await OfAsync(queue, (session, found) => FindStored(session, found, id), null, cancellationToken)
            .ConfigureAwait(false);
        return document is null ? null : EntryDocument.ToRow(document) switch
        {
            { IsWhole: false } => new DamagedBodyStream(),
            { BodyId: { } bodyId } row => new ChunkedBodyStream(
                bodyId,
                row.BodyLength,
                (number, cancellation) => _writer.RunAsync(
                    session => BodyCollection.FindChunk(session, bodyId, number), cancellation)),
            var row => new MemoryStream(row.Body ?? [], writable: false),
        };
    }

    /// <inheritdoc/>
    public async ValueTask<QueueCounts> CountAsync(string queue, CancellationToken cancellationToken) =>
        await OfAsync(
            queue,
            (session, found) => found.Count(EntryCollection.CountExpired(session, found, Now)),
            default,
            cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<bool> RequeueAsync(string queue, long id, DateTimeOffset expiresAt, CancellationToken cancellationToken) =>
        await OfAsync(queue, (session, found) => Requeue(session, found, id, expiresAt), false, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<bool> DeleteDeadLetterAsync(string queue, long id, CancellationToken cancellationToken) =>
        await OfAsync(queue, (session, found) => DeleteDeadLetter(session, found, id), false, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<long>> TrimDeadLettersAsync(
        string queue, DateTimeOffset diedBefore, long? keep, int limit, CancellationToken cancellationToken) =>
        await OfAsync(
            queue,
            (session, found) => Trim(session, found, UnixTime.Of(diedBefore), keep, limit),
            [],
            cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<Receipt?> GetReceiptAsync(string queue, long id, CancellationToken cancellationToken) =>
        await OfAsync(queue, (session, found) => ReceiptCollection.Find(session, found, id), null, cancellationToken)
            .ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<int> ForgetReceiptsAsync(string queue, DateTimeOffset before, int limit, CancellationToken cancellationToken) =>
        await OfAsync(
            queue,
            (session, found) => ReceiptCollection.Forget(session, found, UnixTime.Of(before), limit),
            0,
            cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<QueuePause?> GetPauseAsync(string queue, CancellationToken cancellationToken) =>
        await OfAsync(queue, static (_, found) => found.Pause, null, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask SetPauseAsync(string queue, QueuePause? pause, CancellationToken cancellationToken) =>
        await RunAsync(
            session =>
            {
                session.Changes.Queues.Open(session, queue).SetPause(pause);
                return true;
            },
            cancellationToken).ConfigureAwait(false);

    /// <summary>Waits for what is under way and closes the database.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _writer.Dispose();
            _database.Dispose();
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    /// <summary>Runs on the one thread that uses the database.</summary>
    internal async Task<T> RunAsync<T>(Func<LiteSession, T> run, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        var mayHaveRemains = false;
        var result = await _writer.RunAsync(
            session =>
            {
                var ran = run(session);
                mayHaveRemains = session.Changes.HasRemains;
                return ran;
            },
            cancellationToken).ConfigureAwait(false);
        if (mayHaveRemains && Interlocked.Exchange(ref _sweeping, 1) == 0)
        {
            _ = SweepAsync();
        }

        return result;
    }

    // The rest of large bodies goes in transactions of its own, in between those of the callers.
    private async Task SweepAsync()
    {
        try
        {
            while (await _writer.RunAsync(
                static session => session.Changes.HasRemains = BodyCollection.Sweep(session), CancellationToken.None).ConfigureAwait(false))
            {
            }
        }
        catch (Exception)
        {
            // The store is disposed of, or cannot write: what is left is swept when it is opened again.
        }
        finally
        {
            Volatile.Write(ref _sweeping, 0);
        }
    }

    private Task<T> OfAsync<T>(string queue, Func<LiteSession, LiteQueue, T> run, T none, CancellationToken cancellationToken) =>
        RunAsync(
            session => session.Changes.Queues.Find(session, queue) is { } found ? run(session, found) : none, cancellationToken);

    private async ValueTask<bool> SettleAsync(
        Lease lease, Action<LiteSession, LiteQueue, LiteLane> settle, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return await RunAsync(
            session =>
            {
                if (LeaseCollection.Find(session, lease.Token, session.Owner) is not var (queue, lane) || lane.HeadId != lease.EntryId)
                {
                    return false;
                }

                settle(session, queue, lane);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<EntryChange> ChangeAsync(
        string queue, long id, long? revision, Action<LiteSession, Standing> change, CancellationToken cancellationToken) =>
        await OfAsync(
            queue,
            (session, found) =>
            {
                switch (EntryCollection.FindStanding(session, found, id, Now))
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
            EntryChange.NotFound,
            cancellationToken).ConfigureAwait(false);

    private static BsonDocument? FindStored(LiteSession session, LiteQueue queue, long id) =>
        session.Get(queue.Collection, id) ?? DeadLetterCollection.Find(session, queue, id);

    private static void Adopt(LiteSession session, long? bodyId)
    {
        if (bodyId is { } id && !BodyCollection.Adopt(session, id))
        {
            throw new InvalidOperationException("The body was disposed of, or belongs to another entry.");
        }
    }

    private static void RequireBefore(LiteSession session, LiteQueue queue, EntryRow row, long position)
    {
        if (row.Prerequisite is { } id && EntryCollection.FindPosition(session, queue, id) >= position)
        {
            throw PrerequisiteException.Behind(id);
        }
    }

    // A refusal is no failure: those who share the commit are not to run again for it.
    private (AddedEntry? Added, QueueStoreException? Refusal) TryAdd(LiteSession session, NewEntry entry, EntryRow row)
    {
        var now = Now;
        var queue = session.Changes.Queues.Open(session, entry.Queue);
        return TryMakeRoom(session, queue, row, entry.Limits, now, out var refusal) is { } dropped
            ? (new AddedEntry(Add(session, queue, entry, row, now), dropped), null)
            : (null, refusal);
    }

    /// <summary>Drops what has to leave a queue for a new entry; planned before anything changes.</summary>
    /// <returns>The dropped entries; <see langword="null"/> when they would not be enough, and nothing was dropped.</returns>
    private static List<DeadLetter>? TryMakeRoom(
        LiteSession session, LiteQueue queue, EntryRow row, QueueLimits? limits, long now, out QueueStoreException? refusal)
    {
        refusal = null;
        if (limits is null || queue.ExcessOf(limits, row.BodyLength) is not { IsNone: false } excess)
        {
            return [];
        }

        // Asked first, or a queue of which too much is being sent would be read to its end in vain.
        var displaced = limits.MayDropFor(row.BodyLength)
            && EntryCollection.ExcessWithoutIdle(session, queue, limits, row.BodyLength, row.Prerequisite, now).IsNone
            ? EntryCollection.FindDisplaced(session, queue, limits.WhenFull, excess, row.Prerequisite, now)
            : null;
        if (displaced is null)
        {
            refusal = limits.Refuse(row.Queue!, row.BodyLength, excess);
            return null;
        }

        return displaced.ConvertAll(entry => Drop(session, entry, new Settlement.DeadLettered(DeadLetterCause.DroppedForSpace), now));
    }

    private static long Add(LiteSession session, LiteQueue queue, NewEntry entry, EntryRow row, long now)
    {
        Adopt(session, row.BodyId);
        var start = new EntryStart(
            queue.TakePosition(entry.Priority, entry.End),
            entry.Attempts,
            entry.LastError,
            UnixTime.After(now, entry.Delay),
            entry.RequestedDelay);
        RequireBefore(session, queue, row, start.Position);
        queue.Enter(row.BodyLength);
        var id = EntryCollection.Insert(session, queue, row, start);
        LaneCollection.Enter(session, queue, row, id, start, now);
        if (entry.HasFailedAttempt)
        {
            AttemptCollection.Insert(session, id, now, entry.LastStatusCode, entry.LastError);
        }

        return id;
    }

    private long BeginWriteAhead(LiteSession session, NewEntry entry, bool isRepeatable, EntryRow row)
    {
        Adopt(session, row.BodyId);
        var start = new EntryStart(
            session.Changes.Queues.Open(session, entry.Queue).TakePosition(entry.Priority, entry.End),
            0,
            null,
            UnixTime.After(Now, entry.Delay),
            entry.RequestedDelay);
        return WriteAheadCollection.Insert(session, isRepeatable, row, start);
    }

    private (AddedEntry? Added, QueueStoreException? Refusal) TryCommitWriteAhead(
        LiteSession session, long writeAheadId, WriteAheadCommit commit)
    {
        var now = Now;
        if (WriteAheadCollection.Find(session, writeAheadId) is not var (row, position))
        {
            return (null, null);
        }

        var queue = session.Changes.Queues.Open(session, row.Queue!);
        if (TryMakeRoom(session, queue, row, commit.Limits, now, out var refusal) is not { } dropped)
        {
            return (null, refusal);
        }

        WriteAheadCollection.Delete(session, writeAheadId);
        var start = new EntryStart(
            position, commit.Attempts, commit.LastError, UnixTime.After(now, commit.Delay), commit.RequestedDelay);
        var id = WriteAheadCollection.Enter(session, queue, row, start, now);
        if (commit.HasFailedAttempt)
        {
            AttemptCollection.Insert(session, id, now, commit.LastStatusCode, commit.LastError);
        }

        return (new AddedEntry(id, dropped), null);
    }

    private static bool DiscardWriteAhead(LiteSession session, long writeAheadId)
    {
        if (WriteAheadCollection.Find(session, writeAheadId) is not var (row, _))
        {
            return false;
        }

        WriteAheadCollection.Delete(session, writeAheadId);
        BodyCollection.Delete(session, row.BodyId);
        return true;
    }

    private static void Complete(
        LiteSession session, LiteQueue queue, LiteLane lane, IReadOnlyList<DeliveredEntry> delivered, Lease? rest, long now)
    {
        var head = lane.ToHead(lane.Attempts);
        foreach (var (lease, delivery) in delivered)
        {
            var entry = head with { EntryId = lease.EntryId };
            Delete(session, entry, session.Get(queue.Collection, lease.EntryId), now);
            if (delivery is not null)
            {
                ReceiptCollection.Insert(session, entry, delivery, now);
            }
            else
            {
                ReceiptCollection.InsertIfAwaited(session, entry, now);
            }
        }

        if (rest is not null && session.Get(queue.Collection, rest.EntryId) is { } first)
        {
            LaneCollection.Advance(session, lane, first);
        }
        else
        {
            LaneCollection.Promote(session, queue, lane, now);
        }
    }

    private static LeasedDocument Lease(LiteSession session, LiteQueue queue, LiteLane lane, long until)
    {
        var token = Guid.NewGuid();
        var head = LaneCollection.Lease(session, lane, token, until, lane.HeadPosition);
        return new LeasedDocument(head, session.Get(queue.Collection, head.EntryId), token, until);
    }

    private static List<LeasedDocument> LeaseNext(LiteSession session, LiteQueue queue, string name, NextLease wanted, long now)
    {
        if (queue.Pause is not null || LaneCollection.FindDueOf(session, queue, name, wanted.Origin, now) is not { } lane)
        {
            return [];
        }

        var entries = EntryCollection.FindRun(session, queue, lane, wanted, now);
        var (token, until) = (Guid.NewGuid(), UnixTime.After(now, wanted.Duration));
        LaneCollection.Lease(session, lane, token, until, entries[^1].Number("position") ?? lane.HeadPosition);
        return entries.ConvertAll(entry => new LeasedDocument(Head.Of(queue, entry), entry, token, until));
    }

    private static LeasedEntry Decode(LeasedDocument leased)
    {
        var (head, document, token, until) = leased;
        var damage = "The entry's document is gone.";
        var row = document is null ? null : EntryDocument.ToRow(document);
        var entry = row?.Decode(head.EntryId, head.Attempts, head.LastError, out damage);
        return new LeasedEntry
        {
            Lease = new Lease(head.EntryId, token),
            Entry = entry is null ? null : entry with { DueAt = UnixTime.ToTime(until), IsLeased = true },
            Body = row is { BodyId: null } ? row.Body ?? [] : default(ReadOnlyMemory<byte>?),
            Damage = damage,
        };
    }

    private static void Reschedule(LiteSession session, LiteQueue queue, LiteLane lane, Settlement.Retry retry, long now)
    {
        if (retry.IsFailedAttempt)
        {
            AttemptCollection.Insert(session, lane.HeadId, now, retry.StatusCode, retry.Error);
        }

        // A damaged document is left as it is: sealed anew it would pass for a whole one.
        if (!retry.LeavesLane
            || OwnLane.Is(lane.Name, lane.HeadId)
            || session.Get(queue.Collection, lane.HeadId) is not { } document
            || EntryDocument.ToRow(document) is not { IsWhole: true } row)
        {
            LaneCollection.Reschedule(session, queue, lane, retry, now);
            return;
        }

        var moved = (row with { Lane = OwnLane.NameFor(lane.Name, lane.HeadId) }).Sealed();
        var start = new EntryStart(
            lane.HeadPosition,
            lane.Attempts + (retry.CountsAsAttempt ? 1 : 0),
            retry.Error ?? lane.LastError,
            UnixTime.After(now, retry.Delay),
            retry.RequestedDelay);
        EntryCollection.Update(session, queue, document, moved, start);
        LaneCollection.Enter(session, queue, moved, lane.HeadId, start, now);
        LaneCollection.Promote(session, queue, lane, now);
    }

    private static void Remove(LiteSession session, Head head, BsonDocument? entry, long now)
    {
        Delete(session, head, entry, now);
        LaneCollection.Lose(session, head, now);
    }

    /// <summary>Deletes an entry with all that belongs to it; its lane does not know yet.</summary>
    private static void Delete(LiteSession session, Head head, BsonDocument? entry, long now)
    {
        BodyCollection.Delete(session, entry?.Number("bodyId"));
        AttemptCollection.Delete(session, head.EntryId);
        Leave(session, head, entry, now);
    }

    private static void Leave(LiteSession session, Head head, BsonDocument? entry, long now)
    {
        EntryCollection.Delete(session, head.Queue, entry);
        head.Queue.Leave(entry?.Number("bodyLength") ?? 0);
        LaneCollection.Release(session, head.Queue, head.EntryId, now);
    }

    private void Replace(LiteSession session, Standing standing, QueuedEntry edited, EntryBody? body, TimeSpan delay)
    {
        var now = Now;
        var head = standing.Head;
        var before = EntryDocument.ToRow(standing.Document);
        var row = before.With(edited, body);
        if (row.Prerequisite != before.Prerequisite)
        {
            RequireBefore(session, head.Queue, row, head.Position);
        }

        if (body is not null)
        {
            Adopt(session, row.BodyId);
            BodyCollection.Delete(session, before.BodyId);
            head.Queue.Grow(row.BodyLength - before.BodyLength);
        }

        var notBefore = Math.Max(standing.NotBefore, delay > TimeSpan.Zero ? UnixTime.After(now, delay) : 0);
        var start = new EntryStart(head.Position, edited.Attempts, edited.LastError, notBefore, notBefore > 0);
        EntryCollection.Update(session, head.Queue, standing.Document, row, start);
        if (row.Lane != head.Lane)
        {
            LaneCollection.Enter(session, head.Queue, row, head.EntryId, start, now);
            LaneCollection.Lose(session, head, now);
        }
        else if (standing.IsHead)
        {
            LaneCollection.Redirect(session, head.Queue, row, start, now);
        }
        else
        {
            LaneCollection.Lose(session, head, now);
        }
    }

    private int Clear(LiteSession session, LiteQueue queue, int limit)
    {
        var now = Now;
        var idle = EntryCollection.FindIdle(session, queue, limit, now);
        foreach (var entry in idle)
        {
            Remove(session, entry.Head, entry.Document, now);
        }

        return idle.Count;
    }

    private static void MoveToDeadLetters(
        LiteSession session, Head head, BsonDocument? entry, Settlement.DeadLettered deadLettered, long now)
    {
        ReceiptCollection.Insert(session, head, deadLettered, now);
        if (!deadLettered.IsKept)
        {
            Remove(session, head, entry, now);
            return;
        }

        DeadLetterCollection.Insert(session, head, entry, deadLettered, now);
        if (deadLettered.IsOfAttempt)
        {
            AttemptCollection.Insert(session, head.EntryId, now, deadLettered.StatusCode, deadLettered.Error);
        }

        Leave(session, head, entry, now);
        LaneCollection.Lose(session, head, now);
    }

    private List<DeadLetter> Expire(LiteSession session, LiteQueue queue, int limit, bool keep)
    {
        var now = Now;
        return EntryCollection.FindExpired(session, queue, limit, now)
            .ConvertAll(entry => Drop(session, entry, new Settlement.DeadLettered(DeadLetterCause.Expired, IsKept: keep), now));
    }

    private static DeadLetter Drop(LiteSession session, Standing standing, Settlement.DeadLettered deadLettered, long now)
    {
        var head = standing.Head;
        var letter = new DeadLetter
        {
            Id = head.EntryId,
            Queue = head.Queue.Name,
            Entry = EntryDocument.ToRow(standing.Document).Decode(head.EntryId, head.Attempts, head.LastError, out _),
            Cause = deadLettered.Cause,
            Error = deadLettered.Error,
            StatusCode = deadLettered.StatusCode,
            History = AttemptCollection.Read(session, head.EntryId),
            DeadLetteredAt = UnixTime.ToTime(now),
        };
        MoveToDeadLetters(session, head, standing.Document, deadLettered, now);
        return letter;
    }

    private bool Requeue(LiteSession session, LiteQueue queue, long id, DateTimeOffset expiresAt)
    {
        if (DeadLetterCollection.Find(session, queue, id) is not { } letter
            || EntryDocument.ToRow(letter) is not { IsWhole: true } dead
            || dead.Decode(id, 0, null, out _) is null)
        {
            return false;
        }

        var now = Now;
        var row = (dead with { ExpiresAt = UnixTime.Of(expiresAt), CoalesceKey = null }).Sealed();
        DeadLetterCollection.Delete(session, queue, id);
        ReceiptCollection.Delete(session, id);
        var start = new EntryStart(queue.TakePosition((EntryPriority)row.Priority, QueueEnd.Back), 0, null, now, false);
        queue.Enter(row.BodyLength);
        EntryCollection.Insert(session, queue, row, start, id);
        LaneCollection.Enter(session, queue, row, id, start, now);
        LaneCollection.Block(session, queue, id);
        return true;
    }

    private static bool DeleteDeadLetter(LiteSession session, LiteQueue queue, long id)
    {
        if (DeadLetterCollection.Find(session, queue, id) is not { } letter)
        {
            return false;
        }

        DeleteDeadLetter(session, queue, letter);
        return true;
    }

    private static void DeleteDeadLetter(LiteSession session, LiteQueue queue, BsonDocument letter)
    {
        var id = letter["_id"].AsInt64;
        BodyCollection.Delete(session, letter.Number("bodyId"));
        AttemptCollection.Delete(session, id);
        DeadLetterCollection.Delete(session, queue, id);
    }

    private static List<long> Trim(LiteSession session, LiteQueue queue, long diedBefore, long? keep, int limit)
    {
        var surplus = keep is null ? 0 : queue.DeadLettered - keep.Value;
        return DeadLetterCollection.FindFirst(session, queue, limit)
            .TakeWhile((letter, index) => index < surplus || letter.Time("diedAt") < diedBefore)
            .ToList()
            .ConvertAll(letter =>
            {
                DeleteDeadLetter(session, queue, letter);
                return letter["_id"].AsInt64;
            });
    }

    private sealed record LeasedDocument(Head Head, BsonDocument? Entry, Guid Token, long Until);
}

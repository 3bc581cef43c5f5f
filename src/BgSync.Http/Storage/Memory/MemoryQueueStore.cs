using System.Runtime.CompilerServices;
using BgSync.Http.Outcomes;

namespace BgSync.Http.Storage.Memory;

/// <summary>
/// Keeps queues in memory: for tests. It keeps the contract of <see cref="IQueueStore"/> but for the first of its promises, that what
/// is queued outlives the process.
/// </summary>
internal sealed class MemoryQueueStore : IQueueStore, IDisposable
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _timeProvider;
    private readonly Dictionary<string, MemoryQueue> _queues = [];
    private readonly Dictionary<long, MemoryEntry> _entries = [];
    private readonly Dictionary<long, MemoryBody> _bodies = [];
    private readonly Dictionary<long, MemoryWriteAhead> _writeAheads = [];
    private long _lastId;
    private long _lastWriteAheadId;
    private long _lastBodyId;
    private bool _disposed;

    /// <summary>Creates an empty store.</summary>
    public MemoryQueueStore(TimeProvider timeProvider)
    {
        ArgumentNullException.ThrowIfNull(timeProvider);
        _timeProvider = timeProvider;
    }

    /// <inheritdoc/>
    public ValueTask<IStoredBodyWriter> BeginBodyAsync(CancellationToken cancellationToken) =>
        RunAsync<IStoredBodyWriter>(
            () =>
            {
                var body = new MemoryBody(++_lastBodyId, Abandon);
                _bodies.Add(body.Id, body);
                return body;
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<AddedEntry> AddAsync(NewEntry entry, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return RunAsync(() => Add(entry), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<long> BeginWriteAheadAsync(NewEntry entry, bool isRepeatable, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return RunAsync(() => BeginWriteAhead(entry), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<AddedEntry?> CommitWriteAheadAsync(long writeAheadId, WriteAheadCommit commit, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(commit);
        return RunAsync(() => CommitWriteAhead(writeAheadId, commit), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<bool> DiscardWriteAheadAsync(long writeAheadId, CancellationToken cancellationToken) =>
        RunAsync(() => _writeAheads.Remove(writeAheadId), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<OriginSchedule>> GetScheduleAsync(string queue, CancellationToken cancellationToken) =>
        RunAsync<IReadOnlyList<OriginSchedule>>(
            () =>
            [
                .. QueueOf(queue).Lanes.Values
                    .GroupBy(static lane => lane.Head.Origin, StringComparer.Ordinal)
                    .OrderBy(static lanes => lanes.Key, StringComparer.Ordinal)
                    .Select(lanes => new OriginSchedule(lanes.Key, lanes.Min(DueAt))),
            ],
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<LeasedEntry>> LeaseAsync(
        string queue, string origin, int limit, TimeSpan duration, CancellationToken cancellationToken) =>
        RunAsync<IReadOnlyList<LeasedEntry>>(
            () =>
            [
                .. QueueOf(queue).Lanes.Values
                    .Where(lane => lane.Head.Origin == origin && DueAt(lane) <= Now)
                    .OrderBy(static lane => EntryPosition.BandOf(lane.Head.Position))
                    .ThenBy(static lane => lane.VisibleAt)
                    .Take(limit)
                    .ToList()
                    .Select(lane => Lease(lane, [lane.Head], duration)[0]),
            ],
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LeasedEntry?> LeaseLaneAsync(string queue, string lane, TimeSpan duration, CancellationToken cancellationToken) =>
        RunAsync(
            () => QueueOf(queue).Lanes.TryGetValue(lane, out var found) && found.MayBeSentByHand(Now) && !IsBlocked(found.Head)
                ? Lease(found, [found.Head], duration)[0]
                : null,
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> HasEntriesAsync(string queue, string lane, CancellationToken cancellationToken) =>
        RunAsync(() => QueueOf(queue).Lanes.ContainsKey(lane), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> RenewAsync(Lease lease, TimeSpan duration, CancellationToken cancellationToken) =>
        RunAsync(
            () =>
            {
                var lane = _queues.Values.SelectMany(static queue => queue.Lanes.Values).FirstOrDefault(lane => lane.Token == lease.Token);
                lane?.VisibleAt = After(duration);
                return lane is not null;
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> SettleAsync(IReadOnlyList<DeliveredEntry> delivered, Lease? rest, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        return SettleAsync(
            delivered[0].Lease,
            lane =>
            {
                if (rest is null)
                {
                    Complete(delivered);
                }
                else
                {
                    lane.KeepLease(_entries[rest.EntryId], () => Complete(delivered));
                }
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<Completion> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, NextLease wanted, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivered);
        ArgumentNullException.ThrowIfNull(wanted);
        IReadOnlyList<LeasedEntry> leased = [];
        var isDone = await SettleAsync(
            delivered[0].Lease,
            lane =>
            {
                var (queue, name) = (QueueOf(lane.Head.Queue), lane.Head.Lane);
                Complete(delivered);
                leased = queue.Pause is null && queue.Lanes.ContainsKey(name) && DueAt(lane) <= Now ? LeaseNext(lane, wanted) : [];
            },
            cancellationToken).ConfigureAwait(false);
        return new Completion(isDone, leased);
    }

    /// <inheritdoc/>
    public ValueTask<bool> SettleAsync(Lease lease, Settlement settlement, CancellationToken cancellationToken) =>
        settlement is Settlement.DeadLettered deadLettered
            ? DeadLetterAsync(lease, deadLettered, cancellationToken)
            : RescheduleAsync(lease, settlement.AsRetry(), cancellationToken);

    private ValueTask<bool> RescheduleAsync(Lease lease, Settlement.Retry retry, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(retry);
        return SettleAsync(
            lease,
            lane =>
            {
                var entry = lane.Head;
                lane.EndLease(retry.CountsAsAttempt);
                entry.LastError = retry.Error ?? entry.LastError;
                if (retry.IsFailedAttempt)
                {
                    entry.Failed(new FailedAttempt(Now, retry.StatusCode, retry.Error));
                }

                lane.Wait(After(retry.Delay), retry.RequestedDelay, Now);
                if (retry.LeavesLane && !OwnLane.Is(entry.Lane, entry.Id))
                {
                    Move(entry, OwnLane.NameFor(entry.Lane, entry.Id));
                }
                else
                {
                    lane.YieldToFront(Now);
                }
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    private ValueTask<bool> DeadLetterAsync(Lease lease, Settlement.DeadLettered deadLettered, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(deadLettered);
        return SettleAsync(lease, lane => MoveToDeadLetters(lane.Head, deadLettered), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<DeadLetter>> ExpireAsync(string queue, int limit, bool keep, CancellationToken cancellationToken) =>
        RunAsync<IReadOnlyList<DeadLetter>>(
            () =>
            [
                .. QueueOf(queue).Pending.Values
                    .Where(entry => entry.ExpiresAt < Now && !LaneOf(entry).IsLeasing(entry, Now))
                    .OrderBy(static entry => entry.ExpiresAt)
                    .Take(limit)
                    .ToList()
                    .Select(entry => Drop(entry, new Settlement.DeadLettered(DeadLetterCause.Expired, IsKept: keep))),
            ],
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<int> ClearBackoffAsync(string queue, bool onlyEndless, CancellationToken cancellationToken) =>
        RunAsync(
            () => QueueOf(queue).Lanes.Values.Count(lane => !IsBlocked(lane.Head) && lane.ClearBackoff(onlyEndless, Now)),
            cancellationToken);

    /// <inheritdoc/>
    /// <remarks>A store in memory dies with its only owner, so there is never anything to reclaim.</remarks>
    public ValueTask<ReclaimedWork> ReclaimAsync(CancellationToken cancellationToken) =>
        RunAsync(static () => ReclaimedWork.None, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<QueuedEntry> ReadAsync(
        string queue, QueueEnd from, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var entries = await RunAsync(
            () => QueueOf(queue).Pending.Values.Select(Describe).ToList(),
            cancellationToken).ConfigureAwait(false);
        foreach (var entry in from == QueueEnd.Front ? entries : entries.AsEnumerable().Reverse())
        {
            yield return entry;
        }
    }

    /// <inheritdoc/>
    public ValueTask<QueuedEntry?> FindAsync(string queue, long id, CancellationToken cancellationToken) =>
        RunAsync(() => FindLive(queue, id) is { } entry ? Describe(entry) : null, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueuedEntry?> FindLastAsync(string queue, string coalesceKey, CancellationToken cancellationToken) =>
        RunAsync(
            () => QueueOf(queue).Pending.Values.LastOrDefault(entry => entry.CoalesceKey == coalesceKey) is { } last
                ? Describe(last)
                : null,
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(string queue, long id, CancellationToken cancellationToken) =>
        RunAsync<IReadOnlyList<FailedAttempt>>(
            () => _entries.TryGetValue(id, out var entry) && entry.Queue == queue ? [.. entry.History] : [], cancellationToken);

    /// <inheritdoc/>
    public ValueTask<EntryChange> RemoveAsync(string queue, long id, long? revision, CancellationToken cancellationToken) =>
        ChangeAsync(
            queue,
            id,
            revision,
            entry =>
            {
                Remove(entry);
                Forget(entry);
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<EntryChange> ReplaceAsync(
        QueuedEntry edited, EntryBody? body, TimeSpan delay, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(edited);
        return ChangeAsync(edited.Queue, edited.Id, edited.Revision, entry => Replace(entry, edited, body, delay), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<int> ClearAsync(string queue, int limit, CancellationToken cancellationToken) =>
        RunAsync(
            () =>
            {
                var idle = QueueOf(queue).Pending.Values.Where(entry => !LaneOf(entry).IsLeasing(entry, Now)).Take(limit).ToList();
                foreach (var entry in idle)
                {
                    Remove(entry);
                    Forget(entry);
                }

                return idle.Count;
            },
            cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<DeadLetter> ReadDeadLettersAsync(
        string queue, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var letters = await RunAsync(() => QueueOf(queue).DeadLettered.ToList(), cancellationToken).ConfigureAwait(false);
        foreach (var letter in letters)
        {
            yield return letter;
        }
    }

    /// <inheritdoc/>
    public ValueTask<Stream?> OpenBodyAsync(string queue, long id, CancellationToken cancellationToken) =>
        RunAsync<Stream?>(
            () => _entries.TryGetValue(id, out var entry) && entry.Queue == queue ? new MemoryStream(entry.Body, writable: false) : null,
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueueCounts> CountAsync(string queue, CancellationToken cancellationToken) =>
        RunAsync(() => QueueOf(queue).Count(Now), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> RequeueAsync(string queue, long id, DateTimeOffset expiresAt, CancellationToken cancellationToken) =>
        RunAsync(
            () =>
            {
                if (QueueOf(queue).DeadLettered.RemoveAll(letter => letter.Id == id) == 0)
                {
                    return false;
                }

                var entry = _entries[id];
                QueueOf(queue).Receipts.Remove(id);
                entry.Requeue(ToMilliseconds(expiresAt), Now);
                Enter(entry, QueueOf(queue).TakePosition(entry.Priority, QueueEnd.Back));
                return true;
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> DeleteDeadLetterAsync(string queue, long id, CancellationToken cancellationToken) =>
        RunAsync(
            () =>
            {
                var deleted = QueueOf(queue).DeadLettered.RemoveAll(letter => letter.Id == id) > 0;
                if (deleted)
                {
                    Forget(_entries[id]);
                }

                return deleted;
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<long>> TrimDeadLettersAsync(
        string queue, DateTimeOffset diedBefore, long? keep, int limit, CancellationToken cancellationToken) =>
        RunAsync<IReadOnlyList<long>>(
            () =>
            {
                var dead = QueueOf(queue).DeadLettered;
                var surplus = keep is null ? 0 : dead.Count - keep;
                var trimmed = dead.TakeWhile((letter, index) => index < surplus || letter.DeadLetteredAt < diedBefore)
                    .Take(limit)
                    .Select(static letter => letter.Id)
                    .ToList();
                dead.RemoveRange(0, trimmed.Count);
                trimmed.ForEach(id => Forget(_entries[id]));
                return trimmed;
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<Receipt?> GetReceiptAsync(string queue, long id, CancellationToken cancellationToken) =>
        RunAsync(() => FindReceipt(queue, id), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<int> ForgetReceiptsAsync(string queue, DateTimeOffset before, int limit, CancellationToken cancellationToken) =>
        RunAsync(() => ForgetReceipts(QueueOf(queue), before, limit), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueuePause?> GetPauseAsync(string queue, CancellationToken cancellationToken) =>
        RunAsync(() => QueueOf(queue).Pause, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask SetPauseAsync(string queue, QueuePause? pause, CancellationToken cancellationToken) =>
        await RunAsync(
            () => QueueOf(queue).Pause = pause is null ? null : pause with { Since = ToMilliseconds(pause.Since) },
            cancellationToken).ConfigureAwait(false);

    /// <summary>Forgets everything.</summary>
    public void Dispose() => _disposed = true;

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private DateTimeOffset Now => ToMilliseconds(_timeProvider.GetUtcNow());

    // As durable stores keep times.
    private static DateTimeOffset ToMilliseconds(DateTimeOffset time) =>
        time == DateTimeOffset.MaxValue ? time : DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds());

    private DateTimeOffset After(TimeSpan delay) =>
        delay <= TimeSpan.Zero ? Now
        : delay >= DateTimeOffset.MaxValue - Now ? DateTimeOffset.MaxValue
        : Now.AddMilliseconds(Math.Ceiling(delay.TotalMilliseconds));

    private ValueTask<T> RunAsync<T>(Func<T> run, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<T>(cancellationToken);
        }

        lock (_lock)
        {
            return ValueTask.FromResult(run());
        }
    }

    private ValueTask<bool> SettleAsync(Lease lease, Action<MemoryLane> settle, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return RunAsync(
            () =>
            {
                if (!_entries.TryGetValue(lease.EntryId, out var entry)
                    || !QueueOf(entry.Queue).Lanes.TryGetValue(entry.Lane, out var lane)
                    || lane.Head != entry
                    || lane.Token != lease.Token)
                {
                    return false;
                }

                settle(lane);
                return true;
            },
            cancellationToken);
    }

    private ValueTask<EntryChange> ChangeAsync(
        string queue, long id, long? revision, Action<MemoryEntry> change, CancellationToken cancellationToken) =>
        RunAsync(
            () =>
            {
                switch (FindLive(queue, id))
                {
                    case null:
                        return EntryChange.NotFound;
                    case var entry when LaneOf(entry).IsLeasing(entry, Now):
                        return EntryChange.InFlight;
                    case var entry when revision is not null && revision != LaneOf(entry).Describe(entry, Now).Revision:
                        return EntryChange.Outdated;
                    case var entry:
                        change(entry);
                        return EntryChange.Done;
                }
            },
            cancellationToken);

    private MemoryEntry? FindLive(string queue, long id) =>
        _entries.TryGetValue(id, out var entry) && QueueOf(queue).Pending.TryGetValue(entry.Position, out var live) && live == entry
            ? entry
            : null;

    private MemoryQueue QueueOf(string name) =>
        _queues.TryGetValue(name, out var queue) ? queue : _queues[name] = new MemoryQueue();

    private MemoryLane LaneOf(MemoryEntry entry) => QueueOf(entry.Queue).Lanes[entry.Lane];

    private QueuedEntry Describe(MemoryEntry entry)
    {
        var described = LaneOf(entry).Describe(entry, Now);
        return IsBlocked(entry) ? described with { DueAt = null } : described;
    }

    // Not leased, nor due, while its prerequisite stands before it.
    private bool IsBlocked(MemoryEntry entry) =>
        entry.Prerequisite is { } id && FindLive(entry.Queue, id) is { } prerequisite && prerequisite.Position < entry.Position;

    private DateTimeOffset DueAt(MemoryLane lane) => IsBlocked(lane.Head) ? DateTimeOffset.MaxValue : lane.VisibleAt;

    private void RequireBefore(string queue, long? prerequisite, long position)
    {
        if (prerequisite is { } id && FindLive(queue, id) is { } found && found.Position >= position)
        {
            throw PrerequisiteException.Behind(id);
        }
    }

    private AddedEntry Add(NewEntry added)
    {
        var queue = QueueOf(added.Queue);
        RequireBefore(added.Queue, added.Prerequisite, queue.NextPosition(added.Priority, added.End));
        var displaced = FindDisplaced(added);
        var body = BytesOf(added.Body);
        return Add(added, body, queue.TakePosition(added.Priority, added.End), displaced);
    }

    private long BeginWriteAhead(NewEntry entry)
    {
        var ahead = new MemoryWriteAhead(entry, BytesOf(entry.Body), QueueOf(entry.Queue).TakePosition(entry.Priority, entry.End));
        _writeAheads.Add(++_lastWriteAheadId, ahead);
        return _lastWriteAheadId;
    }

    private AddedEntry? CommitWriteAhead(long writeAheadId, WriteAheadCommit commit)
    {
        if (!_writeAheads.TryGetValue(writeAheadId, out var ahead))
        {
            return null;
        }

        var entry = ahead.Entry with
        {
            Limits = commit.Limits,
            Delay = commit.Delay,
            RequestedDelay = commit.RequestedDelay,
            Attempts = commit.Attempts,
            LastError = commit.LastError,
            LastStatusCode = commit.LastStatusCode,
        };
        var displaced = FindDisplaced(entry);
        _writeAheads.Remove(writeAheadId);
        return Add(entry, ahead.Body, ahead.Position, displaced);
    }

    private AddedEntry Add(NewEntry added, byte[] body, long position, List<MemoryEntry> displaced)
    {
        var dropped = displaced.ConvertAll(entry => Drop(entry, new Settlement.DeadLettered(DeadLetterCause.DroppedForSpace)));
        var entry = new MemoryEntry(
            new QueuedEntry
            {
                Id = ++_lastId,
                Queue = added.Queue,
                Lane = added.Lane,
                Priority = added.Priority,
                Request = added.Request,
                BodyLength = body.Length,
                Timestamp = ToMilliseconds(added.Timestamp),
                ExpiresAt = ToMilliseconds(added.ExpiresAt),
                Metadata = new Dictionary<string, string>(added.Metadata ?? new Dictionary<string, string>()),
                TraceParent = added.TraceParent,
                CoalesceKey = added.CoalesceKey,
                Prerequisite = added.Prerequisite,
            },
            body)
        {
            Attempts = added.Attempts,
            LastError = added.LastError,
            NotBefore = After(added.Delay),
            AskedByServer = added.RequestedDelay,
        };
        if (added.HasFailedAttempt)
        {
            entry.Failed(new FailedAttempt(Now, added.LastStatusCode, added.LastError));
        }

        _entries.Add(entry.Id, entry);
        Enter(entry, position);
        return new AddedEntry(entry.Id, dropped);
    }

    /// <summary>The entries that are to leave for a new one.</summary>
    private List<MemoryEntry> FindDisplaced(NewEntry added)
    {
        var displaced = new List<MemoryEntry>();
        if (added.Limits is not { } limits)
        {
            return displaced;
        }

        var live = QueueOf(added.Queue).Pending.Values;
        var counts = QueueOf(added.Queue).Count(Now);
        var excess = limits.ExcessOf(counts.Pending, counts.Bytes, added.Body.Length);
        var left = excess;
        if (!left.IsNone && limits.MayDropFor(added.Body.Length))
        {
            var idle = live.Where(entry => entry.Id != added.Prerequisite && !LaneOf(entry).IsLeasing(entry, Now));
            var ordered = limits.WhenFull == WhenFull.DropOldest
                ? idle.OrderByDescending(static entry => EntryPosition.BandOf(entry.Position))
                : idle.OrderBy(static entry => entry.ExpiresAt).ThenBy(static entry => entry.Id);
            foreach (var entry in ordered.TakeWhile(_ => !left.IsNone))
            {
                displaced.Add(entry);
                left = left.Without(entry.Body.Length);
            }
        }

        return left.IsNone ? displaced : throw limits.Refuse(added.Queue, added.Body.Length, excess);
    }

    private DeadLetter Drop(MemoryEntry entry, Settlement.DeadLettered deadLettered)
    {
        LaneOf(entry).VoidLeaseOf(entry);
        return MoveToDeadLetters(entry, deadLettered);
    }

    private void Replace(MemoryEntry entry, QueuedEntry edited, EntryBody? body, TimeSpan delay)
    {
        if (edited.Prerequisite != entry.Prerequisite)
        {
            RequireBefore(entry.Queue, edited.Prerequisite, entry.Position);
        }

        var lane = LaneOf(entry);
        var bytes = body is { } given ? BytesOf(given) : null;
        edited = edited with { Timestamp = ToMilliseconds(edited.Timestamp), ExpiresAt = ToMilliseconds(edited.ExpiresAt) };
        lane.VoidLeaseOf(entry);
        var wasBlocked = IsBlocked(entry);
        if (delay > TimeSpan.Zero)
        {
            lane.Delay(entry, After(delay), Now);
        }

        if (edited.Lane == entry.Lane)
        {
            entry.Replace(edited, bytes);
            if (wasBlocked && !IsBlocked(entry) && lane.Head == entry)
            {
                lane.Release(Now);
            }

            return;
        }

        var queue = QueueOf(entry.Queue);
        Remove(entry);
        entry.Replace(edited, bytes);
        entry.NotBefore = entry.AskedByServer ? entry.NotBefore : Now;
        queue.Pending.Add(entry.Position, entry);
        EnterLane(queue, entry);
    }

    private void Move(MemoryEntry entry, string lane)
    {
        var queue = QueueOf(entry.Queue);
        Remove(entry);
        entry.MoveTo(lane);
        queue.Pending.Add(entry.Position, entry);
        EnterLane(queue, entry);
    }

    private byte[] BytesOf(EntryBody body) => body.StoredId is { } id ? Adopt(id) : body.Inline.ToArray();

    private byte[] Adopt(long bodyId) =>
        _bodies.Remove(bodyId, out var body)
            ? body.ToArray()
            : throw new InvalidOperationException("The body was disposed of, or belongs to another entry.");

    private void Abandon(MemoryBody body)
    {
        lock (_lock)
        {
            _bodies.Remove(body.Id);
        }
    }

    private void Enter(MemoryEntry entry, long position)
    {
        var queue = QueueOf(entry.Queue);
        entry.Position = position;
        queue.Pending.Add(position, entry);
        EnterLane(queue, entry);
    }

    private void EnterLane(MemoryQueue queue, MemoryEntry entry)
    {
        if (!queue.Lanes.TryGetValue(entry.Lane, out var lane))
        {
            queue.Lanes.Add(entry.Lane, new MemoryLane(entry, Now));
            return;
        }

        lane.Enter(entry, Now);
    }

    private void Remove(MemoryEntry entry)
    {
        var queue = QueueOf(entry.Queue);
        var lane = queue.Lanes[entry.Lane];
        queue.Pending.Remove(entry.Position);
        if (lane.Remove(entry, Now))
        {
            queue.Lanes.Remove(entry.Lane);
        }

        foreach (var blocked in queue.Lanes.Values.Where(blocked => blocked.Head.Prerequisite == entry.Id && blocked.Token is null))
        {
            blocked.Release(Now);
        }
    }

    private void Forget(MemoryEntry entry) => _entries.Remove(entry.Id);

    private DeadLetter MoveToDeadLetters(MemoryEntry entry, Settlement.DeadLettered deadLettered)
    {
        Remove(entry);
        if (deadLettered.IsOfAttempt)
        {
            entry.Failed(new FailedAttempt(Now, deadLettered.StatusCode, deadLettered.Error));
        }

        var letter = new DeadLetter
        {
            Id = entry.Id,
            Queue = entry.Queue,
            Entry = entry.Describe(),
            Cause = deadLettered.Cause,
            Error = deadLettered.Error,
            StatusCode = deadLettered.StatusCode,
            Response = deadLettered.Response,
            History = [.. entry.History],
            DeadLetteredAt = Now,
        };
        if (deadLettered.IsKept)
        {
            QueueOf(entry.Queue).DeadLettered.Add(letter);
        }
        else
        {
            Forget(entry);
        }

        QueueOf(entry.Queue).Receipts[entry.Id] = ReceiptOf(letter);
        return letter;
    }

    private Receipt ReceiptOf(MemoryEntry entry, Settlement.Delivered? delivery) => new()
    {
        Id = entry.Id,
        Queue = entry.Queue,
        State = ReceiptState.Delivered,
        At = Now,
        StatusCode = delivery?.StatusCode,
        Response = delivery?.Response,
    };

    private static Receipt ReceiptOf(DeadLetter letter) => new()
    {
        Id = letter.Id,
        Queue = letter.Queue,
        State = ReceiptState.DeadLettered,
        At = letter.DeadLetteredAt,
        StatusCode = letter.StatusCode,
        Response = letter.Response,
        Cause = letter.Cause,
        Error = letter.Error,
    };

    private Receipt? FindReceipt(string name, long id)
    {
        if (FindLive(name, id) is { } entry)
        {
            return new Receipt { Id = id, Queue = name, State = ReceiptState.Queued, At = entry.Describe().Timestamp };
        }

        var queue = QueueOf(name);
        return queue.Receipts.TryGetValue(id, out var ended) ? ended
            : queue.DeadLettered.Find(letter => letter.Id == id) is { } dead ? ReceiptOf(dead)
            : null;
    }

    private static int ForgetReceipts(MemoryQueue queue, DateTimeOffset before, int limit)
    {
        var awaited = queue.Pending.Values.Select(static entry => entry.Describe().Prerequisite).ToHashSet();
        var old = queue.Receipts.Values
            .Where(receipt => receipt.At < before && !awaited.Contains(receipt.Id))
            .OrderBy(static receipt => receipt.At)
            .Take(limit)
            .ToList();
        old.ForEach(receipt => queue.Receipts.Remove(receipt.Id));
        return old.Count;
    }

    private void Complete(IReadOnlyList<DeliveredEntry> delivered)
    {
        foreach (var (lease, delivery) in delivered)
        {
            var entry = _entries[lease.EntryId];
            Remove(entry);
            Forget(entry);
            if (delivery is not null || QueueOf(entry.Queue).Pending.Values.Any(dependent => dependent.Prerequisite == entry.Id))
            {
                QueueOf(entry.Queue).Receipts[entry.Id] = ReceiptOf(entry, delivery);
            }
        }
    }

    private List<LeasedEntry> LeaseNext(MemoryLane lane, NextLease wanted)
    {
        var bytes = 0L;
        var run = lane.Entries
            .TakeWhile(entry => entry.Origin == wanted.Origin && (entry == lane.Head || MayFollow(entry)))
            .Take(wanted.Limit)
            .TakeWhile(entry => (bytes += entry.Body.Length) <= wanted.Bytes || entry == lane.Head)
            .ToList();
        return run.Count == 0 ? [] : Lease(lane, run, wanted.Duration);
    }

    private bool MayFollow(MemoryEntry entry) => entry.Prerequisite is null && !(entry.AskedByServer && entry.NotBefore > Now);

    private List<LeasedEntry> Lease(MemoryLane lane, List<MemoryEntry> entries, TimeSpan duration)
    {
        var token = lane.Lease(entries, After(duration));
        return entries.ConvertAll(entry =>
            new LeasedEntry { Lease = new Lease(entry.Id, token), Entry = lane.Describe(entry, Now), Body = entry.Body });
    }
}

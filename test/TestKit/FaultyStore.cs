using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace TestKit;

/// <summary>A store whose operations fail, and which hears of other processes, when the test says so.</summary>
internal sealed class FaultyStore(IQueueStore inner) : IQueueStore, IQueueStoreSignals
{
    /// <summary>Names of the operations that share <see cref="IQueueStore.SettleAsync(Lease, Settlement, CancellationToken)"/>.</summary>
    public const string Complete = nameof(Complete), Reschedule = nameof(Reschedule), DeadLetter = nameof(DeadLetter);

    private readonly List<Action<string?>> _subscribers = [];

    public int SubscriberCount => _subscribers.Count;

    /// <summary>Called with the name of each operation before it is done; may throw.</summary>
    public Action<string> Before { get; set; } = static _ => { };

    /// <summary>Awaited when a schedule has been read and nobody has seen it yet.</summary>
    public Func<Task> ScheduleRead { get; set; } = static () => Task.CompletedTask;

    /// <summary>Awaited before an entry is replaced, whatever the token says.</summary>
    public Task Replacing { get; set; } = Task.CompletedTask;

    /// <summary>Whether leases are lost: they can neither be renewed nor completed.</summary>
    public bool LosesLeases { get; set; }

    public IDisposable Subscribe(Action<string?> queueChanged)
    {
        Before(nameof(Subscribe));
        _subscribers.Add(queueChanged);
        return new Subscription(() => _subscribers.Remove(queueChanged));
    }

    /// <summary>Has the store hear that another process has changed a queue.</summary>
    public void Signal(string? queue) => _subscribers.ForEach(subscriber => subscriber(queue));

    public ValueTask<IStoredBodyWriter> BeginBodyAsync(CancellationToken cancellationToken) =>
        Do(nameof(BeginBodyAsync)).BeginBodyAsync(cancellationToken);

    public ValueTask<AddedEntry> AddAsync(NewEntry entry, CancellationToken cancellationToken) =>
        Do(nameof(AddAsync)).AddAsync(entry, cancellationToken);

    public ValueTask<long> BeginWriteAheadAsync(NewEntry entry, bool isRepeatable, CancellationToken cancellationToken) =>
        Do(nameof(BeginWriteAheadAsync)).BeginWriteAheadAsync(entry, isRepeatable, cancellationToken);

    public ValueTask<AddedEntry?> CommitWriteAheadAsync(long writeAheadId, WriteAheadCommit commit, CancellationToken cancellationToken) =>
        Do(nameof(CommitWriteAheadAsync)).CommitWriteAheadAsync(writeAheadId, commit, cancellationToken);

    public ValueTask<bool> DiscardWriteAheadAsync(long writeAheadId, CancellationToken cancellationToken) =>
        Do(nameof(DiscardWriteAheadAsync)).DiscardWriteAheadAsync(writeAheadId, cancellationToken);

    public async ValueTask<IReadOnlyList<OriginSchedule>> GetScheduleAsync(string queue, CancellationToken cancellationToken)
    {
        var schedule = await Do(nameof(GetScheduleAsync)).GetScheduleAsync(queue, cancellationToken);
        await ScheduleRead();
        return schedule;
    }

    public ValueTask<IReadOnlyList<LeasedEntry>> LeaseAsync(
        string queue, string origin, int limit, TimeSpan duration, CancellationToken cancellationToken) =>
        Do(nameof(LeaseAsync)).LeaseAsync(queue, origin, limit, duration, cancellationToken);

    public ValueTask<LeasedEntry?> LeaseLaneAsync(string queue, string lane, TimeSpan duration, CancellationToken cancellationToken) =>
        Do(nameof(LeaseLaneAsync)).LeaseLaneAsync(queue, lane, duration, cancellationToken);

    public ValueTask<bool> HasEntriesAsync(string queue, string lane, CancellationToken cancellationToken) =>
        Do(nameof(HasEntriesAsync)).HasEntriesAsync(queue, lane, cancellationToken);

    public ValueTask<bool> RenewAsync(Lease lease, TimeSpan duration, CancellationToken cancellationToken) =>
        LosesLeases ? ValueTask.FromResult(false) : Do(nameof(RenewAsync)).RenewAsync(lease, duration, cancellationToken);

    public ValueTask<bool> SettleAsync(IReadOnlyList<DeliveredEntry> delivered, Lease? rest, CancellationToken cancellationToken) =>
        LosesLeases ? ValueTask.FromResult(false) : Do(Complete).SettleAsync(delivered, rest, cancellationToken);

    public ValueTask<Completion> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, NextLease wanted, CancellationToken cancellationToken) =>
        LosesLeases
            ? ValueTask.FromResult(new Completion(false, []))
            : Do(Complete).SettleAsync(delivered, wanted, cancellationToken);

    public ValueTask<bool> SettleAsync(Lease lease, Settlement settlement, CancellationToken cancellationToken) =>
        Do(settlement is Settlement.DeadLettered ? DeadLetter : Reschedule).SettleAsync(lease, settlement, cancellationToken);

    public ValueTask<IReadOnlyList<DeadLetter>> ExpireAsync(string queue, int limit, bool keep, CancellationToken cancellationToken) =>
        Do(nameof(ExpireAsync)).ExpireAsync(queue, limit, keep, cancellationToken);

    public ValueTask<int> ClearBackoffAsync(string queue, bool onlyEndless, CancellationToken cancellationToken) =>
        Do(nameof(ClearBackoffAsync)).ClearBackoffAsync(queue, onlyEndless, cancellationToken);

    public ValueTask<ReclaimedWork> ReclaimAsync(CancellationToken cancellationToken) =>
        Do(nameof(ReclaimAsync)).ReclaimAsync(cancellationToken);

    public IAsyncEnumerable<QueuedEntry> ReadAsync(string queue, QueueEnd from, CancellationToken cancellationToken) =>
        Do(nameof(ReadAsync)).ReadAsync(queue, from, cancellationToken);

    public ValueTask<QueuedEntry?> FindAsync(string queue, long id, CancellationToken cancellationToken) =>
        Do(nameof(FindAsync)).FindAsync(queue, id, cancellationToken);

    public ValueTask<QueuedEntry?> FindLastAsync(string queue, string coalesceKey, CancellationToken cancellationToken) =>
        Do(nameof(FindLastAsync)).FindLastAsync(queue, coalesceKey, cancellationToken);

    public ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(string queue, long id, CancellationToken cancellationToken) =>
        Do(nameof(GetHistoryAsync)).GetHistoryAsync(queue, id, cancellationToken);

    public ValueTask<EntryChange> RemoveAsync(string queue, long id, long? revision, CancellationToken cancellationToken) =>
        Do(nameof(RemoveAsync)).RemoveAsync(queue, id, revision, cancellationToken);

    public async ValueTask<EntryChange> ReplaceAsync(
        QueuedEntry edited, EntryBody? body, TimeSpan delay, CancellationToken cancellationToken)
    {
        var store = Do(nameof(ReplaceAsync));
        await Replacing;
        return await store.ReplaceAsync(edited, body, delay, CancellationToken.None);
    }

    public ValueTask<int> ClearAsync(string queue, int limit, CancellationToken cancellationToken) =>
        Do(nameof(ClearAsync)).ClearAsync(queue, limit, cancellationToken);

    public IAsyncEnumerable<DeadLetter> ReadDeadLettersAsync(string queue, CancellationToken cancellationToken) =>
        Do(nameof(ReadDeadLettersAsync)).ReadDeadLettersAsync(queue, cancellationToken);

    public ValueTask<Stream?> OpenBodyAsync(string queue, long id, CancellationToken cancellationToken) =>
        Do(nameof(OpenBodyAsync)).OpenBodyAsync(queue, id, cancellationToken);

    public ValueTask<QueueCounts> CountAsync(string queue, CancellationToken cancellationToken) =>
        Do(nameof(CountAsync)).CountAsync(queue, cancellationToken);

    public ValueTask<bool> RequeueAsync(string queue, long id, DateTimeOffset expiresAt, CancellationToken cancellationToken) =>
        Do(nameof(RequeueAsync)).RequeueAsync(queue, id, expiresAt, cancellationToken);

    public ValueTask<bool> DeleteDeadLetterAsync(string queue, long id, CancellationToken cancellationToken) =>
        Do(nameof(DeleteDeadLetterAsync)).DeleteDeadLetterAsync(queue, id, cancellationToken);

    public ValueTask<IReadOnlyList<long>> TrimDeadLettersAsync(
        string queue, DateTimeOffset diedBefore, long? keep, int limit, CancellationToken cancellationToken) =>
        Do(nameof(TrimDeadLettersAsync)).TrimDeadLettersAsync(queue, diedBefore, keep, limit, cancellationToken);

    public ValueTask<Receipt?> GetReceiptAsync(string queue, long id, CancellationToken cancellationToken) =>
        Do(nameof(GetReceiptAsync)).GetReceiptAsync(queue, id, cancellationToken);

    public ValueTask<int> ForgetReceiptsAsync(string queue, DateTimeOffset before, int limit, CancellationToken cancellationToken) =>
        Do(nameof(ForgetReceiptsAsync)).ForgetReceiptsAsync(queue, before, limit, cancellationToken);

    public ValueTask<QueuePause?> GetPauseAsync(string queue, CancellationToken cancellationToken) =>
        Do(nameof(GetPauseAsync)).GetPauseAsync(queue, cancellationToken);

    public ValueTask SetPauseAsync(string queue, QueuePause? pause, CancellationToken cancellationToken) =>
        Do(nameof(SetPauseAsync)).SetPauseAsync(queue, pause, cancellationToken);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private IQueueStore Do(string operation)
    {
        Before(operation);
        return inner;
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}

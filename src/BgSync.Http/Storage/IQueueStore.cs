using BgSync.Http.Outcomes;

namespace BgSync.Http.Storage;

/// <summary>
/// Where queues keep their entries. Every store keeps the same promises, stated by one contract suite.
/// </summary>
/// <remarks>
/// <para>Thread-safe. A method that changes something returns only when the change is on stable storage, but for those that lease,
/// renew or complete: these may return when the death of the process can not undo the change, and have it on stable storage within a
/// second, and before whatever is changed later. A loss of power before that gives back the last entries that were delivered, in their
/// order.</para>
/// <para>The store opens itself at the first call, and again after a call that failed to open it.</para>
/// <para>The order of a queue is the order of its positions: an entry added takes the next one at its end, beyond all of its
/// <see cref="NewEntry.Priority"/>, and the more urgent ones stand before the others. Entries change only
/// by hand; a lane carries the retry state and the lease of its head, so that no cost grows with the queue's length.</para>
/// <para>An entry whose <see cref="QueuedEntry.Prerequisite"/> stands before it in the same queue is not leased, and holds back its
/// lane, until that one has left the queue, however it left; then it is due at once, or when the wait that it was asked for is over.
/// One that stands before its prerequisite does not wait, so that no two ever wait for each other.</para>
/// <para>The last 20 failed attempts at an entry are kept, as <see cref="FailedAttempt"/>s, until it is delivered or removed, or its dead
/// letter deleted: the one that it was added with (<see cref="NewEntry.LastError"/>, unless <see cref="NewEntry.Attempts"/> is zero),
/// those after which it was rescheduled with an error (and that count, or were answered), and the one that it died of (rejected,
/// exhausted, maybe processed).</para>
/// <para>A lease belongs to the store instance that took it. It is void when its time is up, and at once when the process that
/// took it is known to be dead (<see cref="ReclaimAsync"/>). Whoever lost a lease is told so by a <see langword="false"/>.</para>
/// </remarks>
/// <exception cref="QueueStoreException">Any method: the storage is full, locked, read-only, not a store or corrupt.</exception>
internal interface IQueueStore : IAsyncDisposable
{
    /// <summary>
    /// Begins a body that is too large to be kept inline. Its chunks become part of an entry when it is named by
    /// <see cref="NewEntry.Body"/>, and are thrown away when it is disposed of before that, or its process dies.
    /// </summary>
    ValueTask<IStoredBodyWriter> BeginBodyAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Adds an entry at one end of its queue, and of its lane, among those of its priority. It heads its lane if it stands before the
    /// head, unless that is being sent; the one displaced keeps its attempts, and a wait that was asked for.
    /// </summary>
    /// <remarks>
    /// Where it does not fit (<see cref="NewEntry.Limits"/>), as many others make room for it as have to, in the same change, or it is
    /// refused and nothing changes; its body stays the writer's then.
    /// </remarks>
    /// <exception cref="PrerequisiteException">Its prerequisite would stand behind it; nothing changes.</exception>
    /// <exception cref="QueueStoreException">It was refused: <see cref="StoreFault.QueueFull"/>.</exception>
    ValueTask<AddedEntry> AddAsync(NewEntry entry, CancellationToken cancellationToken);

    /// <summary>
    /// Writes down a request that is about to be sent for the first time, and takes its position in its queue for it. Until it is
    /// committed it stands in no queue: it is neither read nor counted nor leased. It belongs to this store instance.
    /// </summary>
    /// <param name="entry">The entry to be when it is committed; its attempts, its last error and its limits are said then.</param>
    /// <param name="isRepeatable">Whether it may be sent again although the server may have processed it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The id by which it is committed or discarded, which is not the entry's.</returns>
    ValueTask<long> BeginWriteAheadAsync(NewEntry entry, bool isRepeatable, CancellationToken cancellationToken);

    /// <summary>
    /// Moves a request written ahead into its queue, at the position that it took. Where it does not fit, others make room for it or it is
    /// refused, as when an entry is added; it stays written ahead then.
    /// </summary>
    /// <returns><see langword="null"/> when this store instance has no such request any more.</returns>
    /// <exception cref="QueueStoreException">It was refused: <see cref="StoreFault.QueueFull"/>.</exception>
    ValueTask<AddedEntry?> CommitWriteAheadAsync(long writeAheadId, WriteAheadCommit commit, CancellationToken cancellationToken);

    /// <summary>Forgets a request written ahead, and its body.</summary>
    /// <returns><see langword="false"/> when this store instance has no such request any more.</returns>
    ValueTask<bool> DiscardWriteAheadAsync(long writeAheadId, CancellationToken cancellationToken);

    /// <summary>
    /// Each origin to which the head of a lane of this queue is addressed, with the earliest time one of them is due;
    /// <see cref="DateTimeOffset.MaxValue"/> when all of them wait for their prerequisites.
    /// </summary>
    ValueTask<IReadOnlyList<OriginSchedule>> GetScheduleAsync(string queue, CancellationToken cancellationToken);

    /// <summary>
    /// Leases the heads of lanes of this queue that are due, not leased and addressed to <paramref name="origin"/>: the most urgent
    /// first, of these the longest due, <paramref name="limit"/> at most, never two of one lane. A head that cannot be read is leased
    /// too, and says why.
    /// </summary>
    ValueTask<IReadOnlyList<LeasedEntry>> LeaseAsync(
        string queue, string origin, int limit, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>
    /// Leases the head of one lane, also when it waits for its backoff; a wait that was asked for
    /// (<see cref="Settlement.Retry.RequestedDelay"/>) stays.
    /// </summary>
    /// <returns>
    /// <see langword="null"/> when the lane is empty, leased, or waits as it was asked to or for the prerequisite of its head.
    /// </returns>
    ValueTask<LeasedEntry?> LeaseLaneAsync(string queue, string lane, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>Whether a lane has entries, be they waiting or leased.</summary>
    ValueTask<bool> HasEntriesAsync(string queue, string lane, CancellationToken cancellationToken);

    /// <summary>
    /// Makes the lease of an entry and of all that were leased with it last for <paramref name="duration"/> from now, also when that one
    /// is completed and others are left.
    /// </summary>
    /// <returns><see langword="false"/> when the lease was lost.</returns>
    ValueTask<bool> RenewAsync(Lease lease, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>Removes leased entries that were delivered, in one change.</summary>
    /// <param name="delivered">
    /// The head of a lane, and those behind it, in their order and without a gap, that were leased with it. Not empty.
    /// </param>
    /// <param name="rest">
    /// The lease of the next entry that was leased with them: it and those behind it stay leased. With <see langword="null"/> all of
    /// them are given back, and the next one of the lane is due at once.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> when the lease was lost; nothing is removed then.</returns>
    ValueTask<bool> SettleAsync(IReadOnlyList<DeliveredEntry> delivered, Lease? rest, CancellationToken cancellationToken);

    /// <summary>
    /// Removes leased entries that were delivered, gives back all else that was leased with them, and leases the next ones of their lane
    /// in the same change, unless the queue is paused.
    /// </summary>
    ValueTask<Completion> SettleAsync(
        IReadOnlyList<DeliveredEntry> delivered, NextLease wanted, CancellationToken cancellationToken);

    /// <summary>
    /// Ends the lease of an entry that was not delivered, and that of all that were leased with it, which are due at once again.
    /// </summary>
    /// <remarks>
    /// <see cref="Settlement.DeadLettered"/> moves the entry with its body to the dead letters, or removes it
    /// (<see cref="Settlement.DeadLettered.IsKept"/>), and writes its receipt. With any other settlement the entry stays the head of its
    /// lane, or leaves it (<see cref="Settlement.Retry.LeavesLane"/>), and is due again as <see cref="Settlement.AsRetry"/> says.
    /// </remarks>
    /// <returns><see langword="false"/> when the lease was lost; nothing changes then.</returns>
    ValueTask<bool> SettleAsync(Lease lease, Settlement settlement, CancellationToken cancellationToken);

    /// <summary>
    /// Moves entries that are older than their retention to the dead letters as <see cref="DeadLetterCause.Expired"/>, oldest
    /// first, <paramref name="limit"/> at most, and writes their receipts. A leased entry is left alone.
    /// </summary>
    /// <param name="queue">The queue's name.</param>
    /// <param name="limit">How many at most.</param>
    /// <param name="keep">Whether the dead letters are kept; otherwise the entries are removed with their bodies.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The entries that were moved, or removed.</returns>
    ValueTask<IReadOnlyList<DeadLetter>> ExpireAsync(string queue, int limit, bool keep, CancellationToken cancellationToken);

    /// <summary>
    /// Makes every lane of this queue that waits for its backoff due now. A wait that the server asked for
    /// (<see cref="Settlement.Retry.RequestedDelay"/>) stays.
    /// </summary>
    /// <param name="queue">The queue's name.</param>
    /// <param name="onlyEndless">Whether only those are meant whose wait has no end of its own (<see cref="TimeSpan.MaxValue"/>).</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>How many lanes were made due.</returns>
    ValueTask<int> ClearBackoffAsync(string queue, bool onlyEndless, CancellationToken cancellationToken);

    /// <summary>
    /// Voids the leases of owners known to be dead, and removes the bodies that they began and never named. The attempt that was
    /// under way counts, because it may have reached the server. So does that of the requests that they wrote ahead, which enter their
    /// queues; one that must not be sent twice becomes a dead letter (<see cref="DeadLetterCause.MaybeProcessed"/>).
    /// </summary>
    /// <returns>The work that was taken over, now or when the store was opened.</returns>
    ValueTask<ReclaimedWork> ReclaimAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Reads a queue from one of its ends to the other, without bodies. What is added or removed meanwhile may or may not be seen;
    /// an entry that cannot be read is passed over (it becomes a dead letter when its turn comes).
    /// </summary>
    IAsyncEnumerable<QueuedEntry> ReadAsync(string queue, QueueEnd from, CancellationToken cancellationToken);

    /// <summary>Reads one entry, without its body.</summary>
    /// <returns><see langword="null"/> when this queue has no readable entry of that id.</returns>
    ValueTask<QueuedEntry?> FindAsync(string queue, long id, CancellationToken cancellationToken);

    /// <summary>Reads the last entry of a queue, by position, that has a coalescing key and can be read, leased or not.</summary>
    /// <returns><see langword="null"/> when there is none.</returns>
    ValueTask<QueuedEntry?> FindLastAsync(string queue, string coalesceKey, CancellationToken cancellationToken);

    /// <summary>Reads the failed attempts at an entry or a dead letter, oldest first.</summary>
    /// <returns>None when there were none, or when this queue has neither of that id.</returns>
    ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(string queue, long id, CancellationToken cancellationToken);

    /// <summary>Removes an entry with its body, readable or not, unless it is in flight.</summary>
    /// <param name="queue">The queue's name.</param>
    /// <param name="id">The entry's id.</param>
    /// <param name="revision">The <see cref="QueuedEntry.Revision"/> that is to be removed; <see langword="null"/> for any.</param>
    /// <param name="cancellationToken">Gives up.</param>
    ValueTask<EntryChange> RemoveAsync(string queue, long id, long? revision, CancellationToken cancellationToken);

    /// <summary>
    /// Writes all of an entry anew but its id, its position, its priority and its wait, and its body where one is given, unless it is in
    /// flight. In another lane it takes the place of its position.
    /// </summary>
    /// <param name="edited">The entry as it shall be. Its <see cref="QueuedEntry.Revision"/> is that of the one that was read.</param>
    /// <param name="body">The new body; <see langword="null"/> keeps the old one.</param>
    /// <param name="delay">
    /// How long the entry is to wait as if the server had asked for it, unless it was asked for a longer wait already; a backoff gives
    /// way to it.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="PrerequisiteException">Its new prerequisite stands behind it, or is itself; nothing was changed.</exception>
    ValueTask<EntryChange> ReplaceAsync(QueuedEntry edited, EntryBody? body, TimeSpan delay, CancellationToken cancellationToken);

    /// <summary>
    /// Removes the entries of a queue, the first ones first, <paramref name="limit"/> at most. A leased entry is left alone.
    /// </summary>
    /// <returns>How many were removed.</returns>
    ValueTask<int> ClearAsync(string queue, int limit, CancellationToken cancellationToken);

    /// <summary>Reads the dead letters of a queue, the first to die first.</summary>
    IAsyncEnumerable<DeadLetter> ReadDeadLettersAsync(string queue, CancellationToken cancellationToken);

    /// <summary>Opens the body of an entry or a dead letter; an empty stream when it has none.</summary>
    /// <remarks>The stream reads forward only and keeps one chunk in memory. It throws <see cref="InvalidDataException"/> where the
    /// stored bytes are not those that were written.</remarks>
    /// <returns><see langword="null"/> when this queue has neither an entry nor a dead letter of that id.</returns>
    ValueTask<Stream?> OpenBodyAsync(string queue, long id, CancellationToken cancellationToken);

    /// <summary>Counts a queue, at a cost that does not grow with it, but for the expired entries in it.</summary>
    ValueTask<QueueCounts> CountAsync(string queue, CancellationToken cancellationToken);

    /// <summary>
    /// Puts a dead letter back at the end of its lane, behind all of its priority, as an entry with no attempts and a new expiry; its
    /// id and its history stay, its receipt is forgotten, and it has no coalescing key any more: whether it reached its server before
    /// it died is forgotten with its attempts.
    /// </summary>
    /// <returns><see langword="false"/> when this queue has no readable dead letter of that id.</returns>
    ValueTask<bool> RequeueAsync(string queue, long id, DateTimeOffset expiresAt, CancellationToken cancellationToken);

    /// <summary>Deletes a dead letter and its body. Its receipt stays: who asks learns that it died, and why.</summary>
    /// <returns><see langword="false"/> when this queue has no dead letter of that id.</returns>
    ValueTask<bool> DeleteDeadLetterAsync(string queue, long id, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes dead letters with their bodies, the first to die first, as long as the next one died too early or there are too many.
    /// </summary>
    /// <param name="queue">The queue's name.</param>
    /// <param name="diedBefore">Those that died before this time are deleted.</param>
    /// <param name="keep">How many dead letters may stay; <see langword="null"/> for no limit.</param>
    /// <param name="limit">How many are deleted at most.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The ids of those that were deleted, the first to die first.</returns>
    ValueTask<IReadOnlyList<long>> TrimDeadLettersAsync(
        string queue, DateTimeOffset diedBefore, long? keep, int limit, CancellationToken cancellationToken);

    /// <summary>The state of an entry, ended or not.</summary>
    /// <returns><see langword="null"/> when this queue never had an entry of that id, when it was removed by hand, and when its receipt
    /// was not written or is forgotten.</returns>
    ValueTask<Receipt?> GetReceiptAsync(string queue, long id, CancellationToken cancellationToken);

    /// <summary>
    /// Forgets the receipts of entries of this queue that ended before a time, the oldest first, <paramref name="limit"/> at most. That
    /// of an entry which is the <see cref="QueuedEntry.Prerequisite"/> of a live one is left.
    /// </summary>
    /// <returns>How many were forgotten.</returns>
    ValueTask<int> ForgetReceiptsAsync(string queue, DateTimeOffset before, int limit, CancellationToken cancellationToken);

    /// <summary>Why a queue is paused; <see langword="null"/> when it is not. A pause outlives the process.</summary>
    ValueTask<QueuePause?> GetPauseAsync(string queue, CancellationToken cancellationToken);

    /// <summary>Pauses a queue, or resumes it with <see langword="null"/>.</summary>
    ValueTask SetPauseAsync(string queue, QueuePause? pause, CancellationToken cancellationToken);
}

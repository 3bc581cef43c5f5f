namespace BgSync.Http;

/// <summary>
/// A queue of requests that wait for their server, by <c>[FromKeyedServices("myQueue")]</c> or from
/// <see cref="IBackgroundSyncQueues"/>.
/// </summary>
/// <remarks>Thread-safe.</remarks>
/// <exception cref="QueueStoreException">Any method: the store cannot do it; the message says why.</exception>
public interface IBackgroundSyncQueue
{
    /// <summary>The queue's name.</summary>
    string Name { get; }

    /// <summary>
    /// Adds a request that was never sent at the end of the queue, behind all of its priority, as the handler would: secret headers
    /// are not stored, a POST or PATCH is given an idempotency key, its lane is that of <see cref="BackgroundSyncOptions.LaneBy"/>
    /// unless it names one, and notes are those of <see cref="BackgroundSyncRequestExtensions.SetBackgroundSyncMetadata"/>. Workbox's
    /// <c>pushRequest</c>.
    /// </summary>
    /// <param name="request">The request, with an absolute address. Its body is read; the request is left to the caller.</param>
    /// <param name="timestamp">When it was made, from which it expires; <see langword="null"/> for now.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>
    /// The entry's id, once the entry is on stable storage. Where
    /// <see cref="BackgroundSyncOptions.CoalesceBy(Func{HttpRequestMessage, string}, Coalescing)"/> made the request one with a
    /// queued entry it is the id of that, which is gone if the two cancelled out.
    /// </returns>
    /// <exception cref="ArgumentException">The address is not an absolute one of HTTP.</exception>
    /// <exception cref="InvalidOperationException">The body is too large to be queued.</exception>
    /// <exception cref="PrerequisiteException">
    /// It cannot wait for the entry that it names (<see cref="BackgroundSyncRequestExtensions.SetBackgroundSyncPrerequisite"/>): this
    /// queue has none of that id, or it died, or it would stand behind.
    /// </exception>
    /// <exception cref="QueueStoreException">
    /// The queue is full (<see cref="StoreFault.QueueFull"/>), or the store cannot take it.
    /// </exception>
    /// <exception cref="TimeoutException">The body or the store made no progress for too long.</exception>
    ValueTask<long> PushAsync(HttpRequestMessage request, DateTimeOffset? timestamp = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Adds a request before all others of its priority, which wait for it if they are of its lane. It is made one with none of them.
    /// Workbox's <c>unshiftRequest</c>.
    /// </summary>
    /// <inheritdoc cref="PushAsync"/>
    ValueTask<long> UnshiftAsync(
        HttpRequestMessage request, DateTimeOffset? timestamp = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Removes the last entry that is not in flight and returns it, to be disposed of; <see langword="null"/> when there is none. Two
    /// callers never get the same one. Those past their retention become dead letters on the way. Workbox's <c>popRequest</c>.
    /// </summary>
    ValueTask<TakenEntry?> PopAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Removes the first entry that is not in flight and returns it, to be disposed of; <see langword="null"/> when there is none. Two
    /// callers never get the same one. Those past their retention become dead letters on the way. Workbox's <c>shiftRequest</c>.
    /// </summary>
    ValueTask<TakenEntry?> ShiftAsync(CancellationToken cancellationToken = default);

    /// <summary>Reads one entry, without its body.</summary>
    /// <returns><see langword="null"/> when this queue has no readable entry of that id.</returns>
    ValueTask<QueuedEntry?> FindAsync(long id, CancellationToken cancellationToken = default);

    /// <summary>
    /// Says what became of an entry: whether it is queued, delivered or dead, with the server's response or the reason. Asked by the id
    /// that <see cref="RequestQueuedException.EntryId"/>, <see cref="BackgroundSyncRequestExtensions.TryGetBackgroundSyncEntryId"/> or
    /// <see cref="PushAsync"/> gave, after a restart too.
    /// </summary>
    /// <returns><see langword="null"/> when this queue never had an entry of that id, when it was removed, taken or cleared by hand,
    /// and when it ended longer ago than <see cref="BackgroundSyncReceiptOptions.Retention"/>.</returns>
    ValueTask<Receipt?> GetReceiptAsync(long id, CancellationToken cancellationToken = default);

    /// <summary>Opens the body of an entry or a dead letter; an empty stream when it has none.</summary>
    /// <remarks>The stream reads forward only and throws <see cref="InvalidDataException"/> where the stored bytes are damaged, or gone
    /// because the entry was delivered meanwhile.</remarks>
    /// <returns><see langword="null"/> when this queue has neither of that id.</returns>
    ValueTask<Stream?> OpenBodyAsync(long id, CancellationToken cancellationToken = default);

    /// <summary>
    /// Reads the failed attempts at an entry or a dead letter (<see cref="DeadLetter.History"/>), oldest first: the last 20 that the
    /// server has answered or may have seen, the live one included. They are kept until the entry is delivered, taken or removed, or its
    /// dead letter deleted; put back, it keeps them.
    /// </summary>
    /// <returns>None when there were none, or when this queue has neither of that id.</returns>
    ValueTask<IReadOnlyList<FailedAttempt>> GetHistoryAsync(long id, CancellationToken cancellationToken = default);

    /// <summary>Removes an entry.</summary>
    /// <returns><see langword="false"/> when this queue has no entry of that id.</returns>
    /// <exception cref="EntryInFlightException">It is being sent; nothing was changed.</exception>
    ValueTask<bool> RemoveAsync(long id, CancellationToken cancellationToken = default);

    /// <summary>
    /// Changes the request, the lane or the prerequisite of an entry that waits. Its id, position, timestamp, notes and attempts stay,
    /// and so does its idempotency key, unless you change it.
    /// </summary>
    /// <param name="id">The entry.</param>
    /// <param name="edit">Changes it in place. Called again with the newer entry if another edit came first.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> when this queue has no readable entry of that id.</returns>
    /// <exception cref="EntryInFlightException">It is being sent; nothing was changed.</exception>
    /// <exception cref="ArgumentException">The new address is not an absolute one of HTTP.</exception>
    /// <exception cref="InvalidOperationException">The new body is too large to be queued.</exception>
    /// <exception cref="PrerequisiteException">
    /// It cannot wait for the entry that it names now: this queue has none of that id, or it died, or stands behind.
    /// </exception>
    /// <exception cref="TimeoutException">The new body or the store made no progress for too long.</exception>
    ValueTask<bool> EditAsync(long id, Action<EntryEdit> edit, CancellationToken cancellationToken = default);

    /// <summary>Removes all entries but those in flight. Dead letters stay.</summary>
    /// <returns>How many were removed.</returns>
    ValueTask<long> ClearAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Reads the entries in order, the more urgent first, without bodies. Workbox's <c>getAll</c>, but it deletes nothing.
    /// </summary>
    IAsyncEnumerable<QueuedEntry> GetAllAsync(CancellationToken cancellationToken = default);

    /// <summary>Reads in order the entries that meet a filter, without bodies.</summary>
    IAsyncEnumerable<QueuedEntry> GetAllAsync(EntryFilter filter, CancellationToken cancellationToken = default);

    /// <summary>
    /// Counts entries, those of them past their retention, and dead letters. Workbox's <c>size</c>, which does not tell them apart.
    /// </summary>
    ValueTask<QueueCounts> CountAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Watches the queue: yields how it stands at once, and again with what has happened whenever something has. Any number may
    /// watch; a slow reader gets the latest counts, and the latest 1,024 events.
    /// </summary>
    /// <remarks>Ends when the container is disposed of.</remarks>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    IAsyncEnumerable<QueueUpdate> WatchAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Sends now all that can be sent now, whatever the backoff says; a wait that a server asked for is kept. Runs also when the
    /// application has not started to send.
    /// </summary>
    /// <param name="deadline">How long it may take; <see cref="Timeout.InfiniteTimeSpan"/> for no limit.</param>
    /// <param name="cancellationToken">Ends the wait with an exception.</param>
    Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken = default);

    /// <summary>Why the queue sends nothing; <see langword="null"/> when it is not paused.</summary>
    ValueTask<QueuePause?> GetPauseAsync(CancellationToken cancellationToken = default);

    /// <summary>Stops sending until <see cref="ResumeAsync"/>, after a restart too. What is under way goes on.</summary>
    ValueTask PauseAsync(string reason, CancellationToken cancellationToken = default);

    /// <summary>Sends again, whoever paused the queue.</summary>
    ValueTask ResumeAsync(CancellationToken cancellationToken = default);

    /// <summary>Reads what was not delivered, the first to die first.</summary>
    IAsyncEnumerable<DeadLetter> GetDeadLettersAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Puts a dead letter back at the end of its lane, behind all of its priority, with no attempts and a whole retention before it.
    /// </summary>
    /// <returns><see langword="false"/> when this queue has no readable dead letter of that id.</returns>
    ValueTask<bool> RequeueAsync(long id, CancellationToken cancellationToken = default);

    /// <summary>Puts back all dead letters that can be read, the first to die first; see <see cref="RequeueAsync"/>.</summary>
    /// <returns>How many were put back.</returns>
    ValueTask<long> RequeueAllAsync(CancellationToken cancellationToken = default);

    /// <summary>Deletes a dead letter with its body. Its receipt stays for its time.</summary>
    /// <returns><see langword="false"/> when this queue has no dead letter of that id.</returns>
    ValueTask<bool> DeleteDeadLetterAsync(long id, CancellationToken cancellationToken = default);
}

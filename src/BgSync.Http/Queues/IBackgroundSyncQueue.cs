using BgSync.Http.Storage;

namespace BgSync.Http.Queues;

/// <summary>
/// A queue of requests that wait for their server, by <c>[FromKeyedServices("myQueue")]</c>.
/// </summary>
/// <remarks>Thread-safe.</remarks>
/// <exception cref="QueueStoreException">Any method: the store cannot do it; the message says why.</exception>
public interface IBackgroundSyncQueue
{
    /// <summary>The queue's name.</summary>
    string Name { get; }

    /// <summary>Reads the entries in order, without bodies. Workbox's <c>getAll</c>, but it deletes nothing.</summary>
    IAsyncEnumerable<StoredEntry> GetAllAsync(CancellationToken cancellationToken = default);

    /// <summary>Counts entries and dead letters. Workbox's <c>size</c>.</summary>
    ValueTask<QueueCounts> CountAsync(CancellationToken cancellationToken = default);

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

    /// <summary>Puts a dead letter back at the end of its lane, with no attempts and a whole retention before it.</summary>
    /// <returns><see langword="false"/> when this queue has no readable dead letter of that id.</returns>
    ValueTask<bool> RequeueAsync(long id, CancellationToken cancellationToken = default);

    /// <summary>Deletes a dead letter with its body.</summary>
    /// <returns><see langword="false"/> when this queue has no dead letter of that id.</returns>
    ValueTask<bool> DeleteDeadLetterAsync(long id, CancellationToken cancellationToken = default);
}

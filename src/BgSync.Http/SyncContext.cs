namespace BgSync.Http;

/// <summary>A queue of which entries are due, for <see cref="BackgroundSyncOptions.OnSync"/>.</summary>
public sealed class SyncContext
{
    private readonly Func<CancellationToken, Task<ReplaySummary>> _replay;

    internal SyncContext(
        IBackgroundSyncQueue queue,
        ReplayReason reason,
        int attempt,
        bool isLast,
        IServiceProvider services,
        Func<CancellationToken, Task<ReplaySummary>> replay)
    {
        Queue = queue;
        Reason = reason;
        Attempt = attempt;
        IsLast = isLast;
        Services = services;
        _replay = replay;
    }

    /// <summary>The queue.</summary>
    public IBackgroundSyncQueue Queue { get; }

    /// <summary>Why the queue is replayed now.</summary>
    public ReplayReason Reason { get; }

    /// <summary>
    /// Which call this is since the last one that did not throw, or since the trigger that followed on <see cref="IsLast"/>, from 1.
    /// </summary>
    public int Attempt { get; }

    /// <summary>
    /// Whether, should this call throw, there is no other before a trigger: the network or a server that is back, a start or a new
    /// entry. So it is at <see cref="BackgroundSyncRetryOptions.MaxAttempts"/>, and before an endless wait of
    /// <see cref="BackgroundSyncRetryOptions.Delays"/>. The <c>lastChance</c> of the browser's <c>sync</c> event.
    /// </summary>
    public bool IsLast { get; }

    /// <summary>The application's services, in a scope that ends with the call.</summary>
    public IServiceProvider Services { get; }

    /// <summary>Sends all that is due now, as the queue does by itself. Workbox's <c>replayRequests</c>.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled; what is under way goes on.</exception>
    public Task<ReplaySummary> ReplayAsync(CancellationToken cancellationToken = default) => _replay(cancellationToken);
}

using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>Says when a live request of a queue may be sent.</summary>
internal sealed class OvertakingGuard(
    string queue, BackgroundSyncOptions options, IQueueStore store, IQueueReplayer replayer, TimeProvider timeProvider)
{
    private static readonly Task<LiveTurn?> _atOnce = Task.FromResult<LiveTurn?>(null);

    private readonly KeyedLock _turns = new();

    /// <summary>Waits until a request may be sent, or queued at least.</summary>
    /// <param name="request">The request.</param>
    /// <param name="patience">After how long it may only be queued.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>Its turn; <see langword="null"/> when it need not wait for one.</returns>
    public Task<LiveTurn?> TakeTurnAsync(WatchedRequest request, TimeSpan patience, CancellationToken cancellationToken) =>
        options.Overtaking == Overtaking.Allowed && request.Prerequisite is null
            ? _atOnce
            : WaitAsync(request, patience, cancellationToken);

    private async Task<LiveTurn?> WaitAsync(WatchedRequest request, TimeSpan patience, CancellationToken cancellationToken)
    {
        using var waiting = new Attempt(patience, timeProvider, cancellationToken);
        var turn = await _turns.TakeAsync(request.Lane, cancellationToken).ConfigureAwait(false);
        try
        {
            return new(turn, request.Prerequisite is { } prerequisite
                ? HeldBackException.ByPrerequisite(prerequisite)
                : await LetOthersGoFirstAsync(request.Lane, patience, waiting).ConfigureAwait(false));
        }
        catch
        {
            turn.Dispose();
            throw;
        }
    }

    private async Task<HeldBackException?> LetOthersGoFirstAsync(string lane, TimeSpan patience, Attempt waiting)
    {
        try
        {
            var reason = await store.HasEntriesAsync(queue, lane, waiting.Token).ConfigureAwait(false)
                ? await replayer.ReplayLaneAsync(lane, waiting.Token).ConfigureAwait(false)
                : null;
            return reason is null ? null : HeldBackException.ByLane(reason);
        }
        catch (OperationCanceledException e) when (waiting.IsTimedOut)
        {
            return HeldBackException.ByLane($"its turn did not come within {patience}", e);
        }
        catch (QueueStoreException e)
        {
            return HeldBackException.ByLane("whether anything waits cannot be told", e);
        }
    }
}

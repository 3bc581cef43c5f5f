using BgSync.Http.Outcomes;

namespace BgSync.Http.Queue;

/// <summary>Says when a live request of a queue may be sent.</summary>
internal sealed class OvertakingGuard(QueueContext context, IQueueReplayer replayer)
{
    private static readonly Task<Turn?> _atOnce = Task.FromResult<Turn?>(null);

    private readonly KeyedLock _turns = new();

    /// <summary>Waits until a request may be sent, or queued at least.</summary>
    /// <param name="request">The request.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>Its turn; <see langword="null"/> when it need not wait for one, or its lane cannot be told.</returns>
    public Task<Turn?> TakeTurnAsync(WatchedRequest request, CancellationToken cancellationToken) =>
        context.Options.Overtaking == Overtaking.Allowed && request.Prerequisite is null
            ? _atOnce
            : WaitAsync(request, context.AttemptTimeout(), cancellationToken);

    private async Task<Turn?> WaitAsync(WatchedRequest request, TimeSpan patience, CancellationToken cancellationToken)
    {
        string? lane = null;
        try
        {
            lane = request.WithLane(context.Options).Lane!;
        }
        catch (CallbackException e)
        {
            context.Events.CallbackFailed(
                context.Name, nameof(context.Options.LaneBy), "a request goes on as if it had no lane", e.InnerException!);
            if (request.Prerequisite is null)
            {
                return null;
            }
        }

        using var waiting = new Attempt(patience, context.Time, cancellationToken);
        var turn = await _turns.TakeAsync(lane ?? "", cancellationToken).ConfigureAwait(false);
        try
        {
            return new(turn, lane, request.Prerequisite is { } prerequisite
                ? HeldBackException.ByPrerequisite(prerequisite)
                : await LetOthersGoFirstAsync(lane!, patience, waiting).ConfigureAwait(false));
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
            var asking = context.Store.HasEntriesAsync(context.Name, lane, waiting.Token).AsTask();
            var reason = await asking.WaitAsync(waiting.Token).ConfigureAwait(false)
                ? await replayer.ReplayLaneAsync(lane, waiting.Token).WaitAsync(waiting.Token).ConfigureAwait(false)
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

    /// <summary>The right of a live request to be the only one of its lane that is sent or queued; it ends when disposed of.</summary>
    /// <param name="turn">The turn among the live requests of the lane.</param>
    /// <param name="lane">The lane; <see langword="null"/> when it cannot be told.</param>
    /// <param name="obstacle">Why the request may only be queued; <see langword="null"/> when it may be sent.</param>
    internal sealed class Turn(IDisposable turn, string? lane, HeldBackException? obstacle) : IDisposable
    {
        public string? Lane => lane;

        public HeldBackException? Obstacle => obstacle;

        public void Dispose() => turn.Dispose();
    }
}

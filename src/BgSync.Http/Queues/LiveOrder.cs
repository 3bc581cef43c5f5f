using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queues;

/// <summary>Says when a live request of a queue may be sent.</summary>
internal sealed class LiveOrder(
    string queue, BackgroundSyncOptions options, IQueueStore store, IQueueReplayer replayer, TimeProvider timeProvider)
{
    private static readonly Task<LiveTurn?> _atOnce = Task.FromResult<LiveTurn?>(null);

    private readonly Turns _turns = new();

    /// <summary>Waits until a request may be sent, or queued at least.</summary>
    /// <param name="lane">The request's lane.</param>
    /// <param name="patience">After how long it may only be queued.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>Its turn; <see langword="null"/> when it need not wait for one.</returns>
    public Task<LiveTurn?> TakeTurnAsync(string lane, TimeSpan patience, CancellationToken cancellationToken) =>
        options.Overtaking == Overtaking.Allowed ? _atOnce : WaitAsync(lane, patience, cancellationToken);

    private async Task<LiveTurn?> WaitAsync(string lane, TimeSpan patience, CancellationToken cancellationToken)
    {
        using var waiting = new Attempt(patience, timeProvider, cancellationToken);
        var turn = await _turns.TakeAsync(lane, cancellationToken).ConfigureAwait(false);
        try
        {
            return new(turn, await LetOthersGoFirstAsync(lane, patience, waiting).ConfigureAwait(false));
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
            return reason is null ? null : new(reason);
        }
        catch (OperationCanceledException e) when (waiting.IsTimedOut)
        {
            return new($"its turn did not come within {patience}", e);
        }
        catch (QueueStoreException e)
        {
            return new("whether anything waits cannot be told", e);
        }
    }
}

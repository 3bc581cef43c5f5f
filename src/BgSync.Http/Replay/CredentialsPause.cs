using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>
/// Pauses a queue whose server wants credentials, and resumes it when there is reason to believe that they are good again. A pause
/// that the application made is the application's to end.
/// </summary>
internal sealed class CredentialsPause(string queue, IQueueStore store, EntryEvents events, TimeProvider timeProvider)
{
    private volatile bool _waits;

    /// <summary>Whether the queue waits for credentials, as far as this process knows.</summary>
    public bool Waits => _waits;

    public async Task BeginAsync(string reason)
    {
        var pause = new QueuePause(PauseCause.Credentials, reason, timeProvider.GetUtcNow());
        await store.SetPauseAsync(queue, pause, CancellationToken.None).ConfigureAwait(false);
        _waits = true;
        events.Paused(queue, pause);
    }

    /// <summary>Whether the queue is paused, after what the triggers say.</summary>
    public async Task<bool> HoldsAsync(ReplayTriggers triggers, CancellationToken cancellationToken)
    {
        var pause = await store.GetPauseAsync(queue, cancellationToken).ConfigureAwait(false);
        _waits = pause?.Cause == PauseCause.Credentials;
        if (!_waits || (triggers & (ReplayTriggers.Manual | ReplayTriggers.LiveSuccess)) == 0)
        {
            return pause is not null;
        }

        await store.SetPauseAsync(queue, null, cancellationToken).ConfigureAwait(false);
        _waits = false;
        events.Resumed(queue);
        return false;
    }
}

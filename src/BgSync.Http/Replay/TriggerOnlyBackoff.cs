using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Ends the waits of a queue that only a trigger ends (<see cref="BackgroundSyncRetryOptions.Delays"/>).</summary>
internal sealed class TriggerOnlyBackoff(string queue, BackgroundSyncOptions options, IQueueStore store, OriginCircuits gates)
{
    private const ReplayTriggers Ending = ReplayTriggers.Network | ReplayTriggers.LiveSuccess | ReplayTriggers.Added;

    private volatile bool _areKnown;
    private bool _areToEnd;

    /// <summary>Whether this process has let an entry wait so since the last trigger.</summary>
    public bool AreKnown => _areKnown;

    /// <summary>Says that an entry waits so.</summary>
    public void Begin() => _areKnown = true;

    /// <summary>Ends them if a trigger says so. Used by the queue's loop only.</summary>
    public async Task EndAsync(ReplayTriggers triggers, CancellationToken cancellationToken)
    {
        // At a start also those of an earlier run, whose options may have been others.
        _areToEnd |= triggers.HasFlag(ReplayTriggers.Start) || (options.WaitsEndlessly && (triggers & Ending) != 0);
        if (_areToEnd)
        {
            gates.EndEndlessWaits(options);
            await store.ClearBackoffAsync(queue, onlyEndless: true, cancellationToken).ConfigureAwait(false);
            _areKnown = false;
            // Only now: had the store failed, the next look would try again.
            _areToEnd = false;
        }
    }
}

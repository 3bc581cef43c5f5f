using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Sends the entries of one lane, one after another, because a live request is to follow them.</summary>
internal sealed class LaneReplayer(string queue, IQueueStore store, LaneLeases leases, RunReplayer replayer, CredentialsPause pause)
{
    /// <summary>Sends until the lane is empty or an entry stays: that attempt is made in the place of the live one.</summary>
    /// <returns>Why some are left; <see langword="null"/> when none is.</returns>
    public async Task<string?> ReplayAsync(string lane, CancellationToken cancellationToken)
    {
        if (await pause.HoldsAsync(ReplayTriggers.Manual, cancellationToken).ConfigureAwait(false))
        {
            return "the queue is paused";
        }

        while (await leases.LeaseLaneAsync(lane, cancellationToken).ConfigureAwait(false) is { } leased)
        {
            if (!await ReplayAsync(leased, cancellationToken).ConfigureAwait(false))
            {
                cancellationToken.ThrowIfCancellationRequested();
                return $"entry {leased.Lease.EntryId} could not be delivered";
            }
        }

        return await store.HasEntriesAsync(queue, lane, cancellationToken).ConfigureAwait(false)
            ? "its first entry waits as the server or its caller asked, or for another entry, or is being sent by another process"
            : null;
    }

    private async Task<bool> ReplayAsync(LeasedEntry leased, CancellationToken cancellationToken)
    {
        try
        {
            return await replayer.ReplayAsync(leased, static () => false, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            leases.End(leased);
        }
    }
}

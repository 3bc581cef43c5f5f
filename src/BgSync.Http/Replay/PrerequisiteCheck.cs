using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Says whether the entry that another one waits for was delivered.</summary>
internal sealed class PrerequisiteCheck(IQueueStore store)
{
    /// <summary>Looks up what became of the prerequisite of an entry whose turn has come.</summary>
    /// <returns>Its receipt, if the entry has one and may be sent, or why the entry dies.</returns>
    /// <exception cref="QueueStoreException">That cannot be told now.</exception>
    public async ValueTask<(Receipt? Receipt, Settlement.DeadLettered? Death)> LookUpAsync(QueuedEntry entry, CancellationToken cancellationToken)
    {
        if (entry.Prerequisite is not { } id)
        {
            return default;
        }

        var receipt = await store.GetReceiptAsync(entry.Queue, id, cancellationToken).ConfigureAwait(false);
        return receipt is { State: ReceiptState.Delivered }
            ? (receipt, null)
            : (null, new(DeadLetterCause.PrerequisiteFailed, $"Entry {id}, which was to be delivered first, {FateOf(receipt)}."));
    }

    private static string FateOf(Receipt? receipt) => receipt switch
    {
        null => "was removed, or its receipt is gone",
        { State: ReceiptState.Queued } => "failed, and was put back since",
        // Of a chain each names the one before it, and not all of them.
        { Cause: DeadLetterCause.PrerequisiteFailed } or { Error: null } => $"became a dead letter ({receipt.Cause})",
        _ => $"became a dead letter ({receipt.Cause}): {receipt.Error.TrimEnd('.')}",
    };
}

using BgSync.Http.Outcomes;

namespace BgSync.Http.Storage;

/// <summary>The completion of one entry that was leased alone.</summary>
internal static class SingleCompletion
{
    public static ValueTask<bool> CompleteAsync(
        this IQueueStore store, Lease lease, Settlement.Delivered? delivery, CancellationToken cancellationToken) =>
        store.SettleAsync([new(lease, delivery)], rest: null, cancellationToken);
}

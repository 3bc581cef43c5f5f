namespace BgSync.Http.Storage;

/// <summary>The completion of one entry that was leased alone.</summary>
public static class SingleCompletion
{
    public static ValueTask<bool> CompleteAsync(
        this IQueueStore store, Lease lease, Delivery? delivery, CancellationToken cancellationToken) =>
        store.CompleteAsync([new(lease, delivery)], rest: null, cancellationToken);
}

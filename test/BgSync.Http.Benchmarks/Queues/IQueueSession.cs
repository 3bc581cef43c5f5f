namespace BgSync.Http.Benchmarks.Queues;

/// <summary>A queue that is open. Calls may come from many callers at once.</summary>
internal interface IQueueSession : IAsyncDisposable
{
    /// <summary>Queues a request, and returns when it is durable.</summary>
    ValueTask AddAsync(string lane, ReadOnlyMemory<byte> body);

    /// <summary>Takes the first request of each lane, of so many lanes at most, and removes it as delivered.</summary>
    /// <returns>How many were removed.</returns>
    ValueTask<int> SettleAsync(int lanes);

    /// <summary>Takes the requests of the one lane in their order, so many at a time where the queue can, and removes them as delivered.</summary>
    /// <returns>How many were removed.</returns>
    ValueTask<int> SettleLaneAsync(int together);

    ValueTask<long> CountAsync();

    /// <summary>Queues a request with a large body.</summary>
    ValueTask AddLargeAsync(long length);

    /// <summary>Reads the body of the request that was queued last.</summary>
    /// <returns>Its length.</returns>
    ValueTask<long> ReadLargeAsync();

    /// <summary>Removes all that is queued.</summary>
    ValueTask ClearAsync();

    /// <summary>How much room it takes on the disk.</summary>
    ValueTask<long> SizeAsync();
}

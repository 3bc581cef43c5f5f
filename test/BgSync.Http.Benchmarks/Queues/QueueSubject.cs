namespace BgSync.Http.Benchmarks.Queues;

/// <summary>A kind of queue that is measured beside others.</summary>
internal abstract class QueueSubject(string name) : IAsyncDisposable
{
    public string Name => name;

    /// <summary>Whether its files are its own process's to flush, so that the flushes can be counted by watching a process.</summary>
    public virtual bool FlushesItself => true;

    /// <summary>Whether what it has taken outlives the process; what keeps nothing is told of, but not drawn beside the others.</summary>
    public virtual bool IsDurable => true;

    /// <summary>Opens the queue of a folder; the same folder is the same queue.</summary>
    public abstract ValueTask<IQueueSession> OpenAsync(string folder);

    /// <summary>How many flushes were made so far for all queues; <see langword="null"/> where only watching the process tells.</summary>
    public virtual ValueTask<long?> CountFlushesAsync() => new((long?)null);

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

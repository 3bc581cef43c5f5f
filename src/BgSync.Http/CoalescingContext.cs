namespace BgSync.Http;

/// <summary>
/// A queued entry and a request of the same key, for the function that says what is to become of them. Valid while the function runs.
/// </summary>
public sealed class CoalescingContext
{
    internal CoalescingContext(QueuedEntry queued, HttpRequestMessage queuedRequest, HttpRequestMessage request)
    {
        Queued = queued;
        QueuedRequest = queuedRequest;
        Request = request;
    }

    /// <summary>
    /// The entry. With <see cref="QueuedEntry.Attempts"/> above 0 it may have reached its server, which is to be thought of before a
    /// POST is replaced.
    /// </summary>
    public QueuedEntry Queued { get; }

    /// <summary>The entry's request, to be read. Headers that are not stored are missing.</summary>
    public HttpRequestMessage QueuedRequest { get; }

    /// <summary>
    /// The new request as it would be stored. What it is when the function answers <see cref="Coalescing.ReplaceQueued"/> is what is
    /// stored: its address, method, headers and content may be changed. Any other answer drops the changes.
    /// </summary>
    public HttpRequestMessage Request { get; }
}

namespace BgSync.Http.Queues;

/// <summary>
/// The request could not be sent and was queued: it is on stable storage and will be sent when its server can be reached. Do not
/// send it again yourself.
/// </summary>
public sealed class RequestQueuedException : HttpRequestException
{
    internal RequestQueuedException(string queue, long entryId, Exception failure)
        : base(
            (failure as HttpRequestException)?.HttpRequestError ?? HttpRequestError.Unknown,
            $"The request could not be sent and was queued: entry {entryId} of queue '{queue}'. {failure.Message}",
            failure,
            (failure as HttpRequestException)?.StatusCode)
    {
        Queue = queue;
        EntryId = entryId;
    }

    /// <summary>The queue's name.</summary>
    public string Queue { get; }

    /// <summary>The entry's id.</summary>
    public long EntryId { get; }
}

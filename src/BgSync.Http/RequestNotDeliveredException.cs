using System.Net;

namespace BgSync.Http;

/// <summary>
/// The request was queued, and its caller waited for it (<see cref="WhenQueued.Wait"/>), but it was not delivered: it became a dead
/// letter, or somebody removed it by hand.
/// </summary>
public sealed class RequestNotDeliveredException : HttpRequestException
{
    internal RequestNotDeliveredException(string queue, long entryId, Receipt? receipt, Exception failure)
        : base(
            HttpRequestError.Unknown,
            receipt is null
                ? $"The request was queued as entry {entryId} of queue '{queue}', and removed before it was delivered."
                : $"The request was queued as entry {entryId} of queue '{queue}', and became a dead letter, "
                    + $"{receipt.Cause}: {receipt.Error}",
            failure,
            (HttpStatusCode?)receipt?.StatusCode)
    {
        Queue = queue;
        EntryId = entryId;
        Cause = receipt?.Cause;
    }

    /// <summary>The queue's name.</summary>
    public string Queue { get; }

    /// <summary>The id that the entry had, by which its dead letter can be found.</summary>
    public long EntryId { get; }

    /// <summary>Why it became a dead letter; <see langword="null"/> when it was removed, taken or cleared by hand.</summary>
    public DeadLetterCause? Cause { get; }
}

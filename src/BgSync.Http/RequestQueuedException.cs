using BgSync.Http.Outcomes;
using BgSync.Http.Queue;

namespace BgSync.Http;

/// <summary>
/// The request could not be sent and was queued: it is on stable storage and will be sent when its server can be reached. Do not
/// send it again yourself.
/// </summary>
public sealed class RequestQueuedException : HttpRequestException
{
    internal RequestQueuedException(string queue, EnqueueResult placement, Exception failure)
        : base(
            (failure as HttpRequestException)?.HttpRequestError ?? HttpRequestError.Unknown,
            $"The request could not be sent and {Describe(queue, placement)}. {FailureText.Clean(failure.Message)}",
            failure,
            (failure as HttpRequestException)?.StatusCode)
    {
        Queue = queue;
        EntryId = placement.EntryId;
        Coalescing = placement.How;
    }

    /// <summary>The queue's name.</summary>
    public string Queue { get; }

    /// <summary>
    /// The entry's id: the request's own, or that of the queued entry with which it was made one. After
    /// <see cref="Coalescing.CancelOut"/> there is no such entry any more.
    /// </summary>
    public long EntryId { get; }

    /// <summary>
    /// The result of coalescing the request and a queued one of the same key. <see cref="Coalescing.Append"/> when it was queued on
    /// its own.
    /// </summary>
    public Coalescing Coalescing { get; }

    private static string Describe(string queue, EnqueueResult placement) => placement.How switch
    {
        Coalescing.KeepFirst => $"was dropped, because entry {placement.EntryId} of queue '{queue}' stands for it",
        Coalescing.ReplaceQueued => $"was queued in the place of an older one: entry {placement.EntryId} of queue '{queue}'",
        Coalescing.CancelOut => $"need not be: it and entry {placement.EntryId} of queue '{queue}' cancelled out",
        _ => $"was queued: entry {placement.EntryId} of queue '{queue}'",
    };
}

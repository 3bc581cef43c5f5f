using System.Net;

namespace BgSync.Http.Queues;

/// <summary>The reply that a caller gets for a queued request with <see cref="WhenQueued.ReturnAccepted"/>.</summary>
public static class QueuedReply
{
    /// <summary>The header of the reply that bears the entry's id.</summary>
    public const string EntryIdHeader = "Background-Sync-Entry-Id";

    /// <summary>
    /// The header of the reply that says, in the words of <see cref="Coalescing"/>, what was made of the request and a queued one of
    /// the same key; missing when it was queued on its own.
    /// </summary>
    /// <remarks>After <see cref="Coalescing.CancelOut"/> the id is that of the entry that was removed.</remarks>
    public const string CoalescingHeader = "Background-Sync-Coalescing";

    internal static HttpResponseMessage Create(HttpRequestMessage request, Placement placement)
    {
        request.SetBackgroundSyncEntryId(placement.EntryId);
        var reply = new HttpResponseMessage(HttpStatusCode.Accepted) { RequestMessage = request };
        reply.Headers.Add(EntryIdHeader, placement.EntryId.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (placement.How != Coalescing.Append)
        {
            reply.Headers.Add(CoalescingHeader, placement.How.ToString());
        }

        return reply;
    }
}

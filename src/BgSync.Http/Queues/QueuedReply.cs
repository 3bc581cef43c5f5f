using System.Net;

namespace BgSync.Http.Queues;

/// <summary>The reply that a caller gets for a queued request with <see cref="WhenQueued.ReturnAccepted"/>.</summary>
public static class QueuedReply
{
    /// <summary>The header of the reply that bears the entry's id.</summary>
    public const string EntryIdHeader = "Background-Sync-Entry-Id";

    internal static HttpResponseMessage Create(HttpRequestMessage request, long entryId)
    {
        request.SetBackgroundSyncEntryId(entryId);
        var reply = new HttpResponseMessage(HttpStatusCode.Accepted) { RequestMessage = request };
        reply.Headers.Add(EntryIdHeader, entryId.ToString(System.Globalization.CultureInfo.InvariantCulture));
        return reply;
    }
}

using System.Net;

namespace BgSync.Http.Queues;

/// <summary>The reply that a caller gets for a queued request with <see cref="WhenQueued.ReturnAccepted"/>.</summary>
public static class QueuedReply
{
    /// <summary>The header of the reply that bears the entry's id.</summary>
    public const string EntryIdHeader = "Background-Sync-Entry-Id";

    private static readonly HttpRequestOptionsKey<long> s_entryId = new("BgSync.Http.EntryId");

    /// <summary>The id of the entry that a request became.</summary>
    /// <returns><see langword="false"/> when the request was not queued.</returns>
    public static bool TryGetBackgroundSyncEntryId(this HttpRequestMessage request, out long entryId)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.Options.TryGetValue(s_entryId, out entryId);
    }

    internal static HttpResponseMessage Create(HttpRequestMessage request, long entryId)
    {
        request.Options.Set(s_entryId, entryId);
        var reply = new HttpResponseMessage(HttpStatusCode.Accepted) { RequestMessage = request };
        reply.Headers.Add(EntryIdHeader, entryId.ToString(System.Globalization.CultureInfo.InvariantCulture));
        return reply;
    }
}

using System.Globalization;
using System.Net;

namespace BgSync.Http.Responses;

/// <summary>The response that a caller gets for a queued request with <see cref="WhenQueued.ReturnAccepted"/>.</summary>
internal static class AcceptedResponse
{
    public static async Task<HttpResponseMessage> CreateAsync(HttpRequestMessage request, long entryId, Coalescing how)
    {
        request.SetBackgroundSyncEntryId(entryId);
        var response = new HttpResponseMessage(HttpStatusCode.Accepted) { RequestMessage = request };
        response.Headers.Add(BackgroundSyncHeaders.EntryId, entryId.ToString(CultureInfo.InvariantCulture));
        if (how != Coalescing.Append)
        {
            response.Headers.Add(BackgroundSyncHeaders.Coalescing, how.ToString());
        }

        // HttpClient leaves a body alone that is in memory, so that a cancel from here on does not hide the response.
        await response.Content.LoadIntoBufferAsync().ConfigureAwait(false);
        return response;
    }
}

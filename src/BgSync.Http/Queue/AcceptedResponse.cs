using System.Globalization;
using System.Net;

namespace BgSync.Http.Queue;

/// <summary>The response that a caller gets for a queued request with <see cref="WhenQueued.ReturnAccepted"/>.</summary>
internal static class AcceptedResponse
{
    public static async Task<HttpResponseMessage> CreateAsync(HttpRequestMessage request, EnqueueResult result)
    {
        request.SetBackgroundSyncEntryId(result.EntryId);
        var response = new HttpResponseMessage(HttpStatusCode.Accepted) { RequestMessage = request };
        response.Headers.Add(BackgroundSyncHeaders.EntryId, result.EntryId.ToString(CultureInfo.InvariantCulture));
        if (result.How != Coalescing.Append)
        {
            response.Headers.Add(BackgroundSyncHeaders.Coalescing, result.How.ToString());
        }

        // HttpClient leaves a body alone that is in memory, so that a cancel from here on does not hide the response.
        await response.Content.LoadIntoBufferAsync().ConfigureAwait(false);
        return response;
    }
}

using System.Net;

namespace BgSync.Http.Responses;

/// <summary>A server's response, made again of what a receipt kept of it.</summary>
internal static class ReceiptResponse
{
    /// <param name="statusCode">The status.</param>
    /// <param name="kept">The part that was kept. Where that is not all, the body ends as if the connection had broken off.</param>
    public static HttpResponseMessage Create(int statusCode, StoredResponse? kept)
    {
        var failure = kept is { IsWhole: true }
            ? null
            : new HttpIOException(
                HttpRequestError.ResponseEnded,
                "The response was received by another process, and no more of its body was kept. See ResponseBodyLength.");
        var response = new HttpResponseMessage((HttpStatusCode)statusCode)
        {
            Content = new ResponseContent(new(kept?.Body ?? default, rest: null, failure)),
        };
        foreach (var (name, value) in kept?.Headers ?? [])
        {
            if (!response.Headers.TryAddWithoutValidation(name, value))
            {
                response.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return response;
    }
}

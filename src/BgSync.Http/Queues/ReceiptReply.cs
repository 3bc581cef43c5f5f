using System.Net;
using BgSync.Http.Requests;
using BgSync.Http.Storage;

namespace BgSync.Http.Queues;

/// <summary>A server's reply, made again of what a receipt kept of it.</summary>
internal static class ReceiptReply
{
    /// <param name="statusCode">The status.</param>
    /// <param name="kept">What was kept. Where that is not all, the body ends as if the connection had broken off.</param>
    public static HttpResponseMessage Create(int statusCode, StoredReply? kept)
    {
        var failure = kept is { IsWhole: true }
            ? null
            : new HttpIOException(
                HttpRequestError.ResponseEnded,
                "The reply was received by another process, and no more of its body was kept. See ReplyBodyLength.");
        var reply = new HttpResponseMessage((HttpStatusCode)statusCode)
        {
            Content = new ReplyContent(new(kept?.Body ?? default, rest: null, failure)),
        };
        foreach (var (name, value) in kept?.Headers ?? [])
        {
            if (!reply.Headers.TryAddWithoutValidation(name, value))
            {
                reply.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return reply;
    }
}

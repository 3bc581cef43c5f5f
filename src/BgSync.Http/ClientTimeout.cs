using BgSync.Http.Responses;

namespace BgSync.Http;

/// <summary>
/// The time-out of one client, which its queues keep in the place of <see cref="HttpClient"/>: inside a handler it cannot be told from a
/// cancel by the caller, and it would end an upload that moves.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class ClientTimeout
{
    /// <summary>The framework's default, until the first client was made.</summary>
    private static readonly TimeSpan _default = TimeSpan.FromSeconds(100);

    private long _ticks = _default.Ticks;
    private volatile bool _isKept;

    /// <summary>The time-out that the client was configured with.</summary>
    public TimeSpan Value => new(Volatile.Read(ref _ticks));

    /// <summary>Whether it is to be kept here: a client was made, and it had a time-out.</summary>
    public bool IsKept => _isKept;

    /// <summary>Takes over the time-out of a client.</summary>
    public void TakeOver(HttpClient client)
    {
        Volatile.Write(ref _ticks, client.Timeout.Ticks);
        _isKept = client.Timeout != Timeout.InfiniteTimeSpan;
        client.Timeout = Timeout.InfiniteTimeSpan;
    }

    /// <summary>
    /// Bounds the time for which <see cref="HttpClient"/> reads the body of a response into memory. A caller that reads it as a stream is
    /// left alone, as by <see cref="HttpClient.Timeout"/>.
    /// </summary>
    public HttpResponseMessage KeepForBody(HttpResponseMessage response, TimeSpan timeout, TimeProvider timeProvider)
    {
        if (_isKept && timeout != Timeout.InfiniteTimeSpan && response.Content.Headers.ContentLength != 0)
        {
            response.Content = new TimedContent(response.Content, timeout, timeProvider);
        }

        return response;
    }
}

using System.Collections.Concurrent;
using System.Net;

namespace TestKit;

/// <summary>A primary handler without a network: it refuses connections until the test says that it is online.</summary>
public sealed class FakeWire : HttpMessageHandler
{
    private readonly ConcurrentQueue<HttpRequestMessage> _received = [];
    private int _attempts;

    public bool IsOnline { get; set; }

    /// <summary>How many requests were to be sent, whether they were answered or not.</summary>
    public int Attempts => Volatile.Read(ref _attempts);

    /// <summary>The body of every response.</summary>
    public string ResponseBody { get; set; } = "";

    /// <summary>The requests that were answered, in order.</summary>
    public IReadOnlyList<HttpRequestMessage> Received => [.. _received];

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _attempts);
        if (!IsOnline)
        {
            throw new HttpRequestException(HttpRequestError.ConnectionError);
        }

        _received.Enqueue(request);
        return Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK)
        {
            RequestMessage = request,
            Content = new StringContent(ResponseBody),
        });
    }
}

using System.Net;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>
/// Stands for the network: reads the body, leaves the sender waiting as a socket does, and answers on the caller's thread, so that
/// what is measured is neither a thread's switch nor a way that has completed already.
/// </summary>
internal sealed class PendingServer : HttpMessageHandler
{
    private TaskCompletionSource<HttpResponseMessage>? _pending;

    public void Answer() => _pending!.SetResult(new HttpResponseMessage(HttpStatusCode.OK));

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // All bodies are in memory.
        request.Content?.CopyToAsync(Stream.Null, cancellationToken).GetAwaiter().GetResult();
        _pending = new TaskCompletionSource<HttpResponseMessage>();
        return _pending.Task;
    }
}

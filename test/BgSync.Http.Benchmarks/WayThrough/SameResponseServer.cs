using System.Net;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>Answers at once, with the same response each time: what is left is the handlers before it.</summary>
internal sealed class SameResponseServer : HttpMessageHandler
{
    private readonly Task<HttpResponseMessage> _response = Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK));

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => _response;
}

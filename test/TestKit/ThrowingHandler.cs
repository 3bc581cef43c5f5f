namespace TestKit;

/// <summary>A primary handler that fails as it is told.</summary>
public sealed class ThrowingHandler(Func<Exception> failure) : HttpMessageHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        Task.FromException<HttpResponseMessage>(failure());

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) => throw failure();
}

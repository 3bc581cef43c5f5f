namespace TestKit;

/// <summary>A handler that shows each request to a test before it goes on.</summary>
public sealed class ObservingHandler(Action<HttpRequestMessage> observe) : DelegatingHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        observe(request);
        return base.SendAsync(request, cancellationToken);
    }

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        observe(request);
        return base.Send(request, cancellationToken);
    }
}

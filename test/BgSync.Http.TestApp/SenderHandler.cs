namespace BgSync.Http.TestApp;

/// <summary>Writes on each attempt which process makes it. It stands inside the queue's handler, so replays pass it too.</summary>
internal sealed class SenderHandler(string sender) : DelegatingHandler
{
    public const string Header = "Sender";

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.Headers.Remove(Header);
        request.Headers.Add(Header, sender);
        return base.SendAsync(request, cancellationToken);
    }
}

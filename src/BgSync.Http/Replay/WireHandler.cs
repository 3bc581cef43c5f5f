namespace BgSync.Http.Replay;

/// <summary>
/// The last handler of a client that has queues, next to its primary handler. It notes how a replay is given to the connection, so that a
/// redirect by the server can be told from a handler that rewrites addresses; all other requests pass untouched.
/// </summary>
internal sealed class WireHandler(int maxConnections) : DelegatingHandler
{
    /// <summary>How many connections to a server the primary handler has at most.</summary>
    public int MaxConnections => maxConnections;

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        (request as ReplayRequest)?.NoteWire();
        return base.SendAsync(request, cancellationToken);
    }
}

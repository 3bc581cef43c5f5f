namespace BgSync.Http.Routing;

/// <summary>Says which requests of a client a queue watches.</summary>
/// <param name="queue">The queue's name.</param>
/// <param name="routes">The routes of all queues of the client, the outermost queue first.</param>
internal sealed class RequestWatch(string queue, IReadOnlyList<KeyValuePair<string, RouteTable>> routes)
{
    private readonly RouteTable _own = routes.First(of => of.Key == queue).Value;
    private readonly bool _isOutermost = routes[0].Key == queue;

    /// <summary>Whether the client has no other queue.</summary>
    public bool IsAlone { get; } = routes.Count == 1;

    /// <summary>Whether the queue may take a request. A request that no route matches is not asked for its options.</summary>
    /// <exception cref="InvalidOperationException">The request names a queue that the client does not have.</exception>
    public bool IsWatched(HttpRequestMessage request) =>
        (_own.IsMatch(request) || request.NamesBackgroundSyncQueue()) && MayTake(queue, request);

    /// <summary>Whether this is the outermost queue of the client, and neither it nor another one watches a request.</summary>
    public bool IsWatchedByNone(HttpRequestMessage request)
    {
        if (!_isOutermost)
        {
            return false;
        }

        for (var i = 0; i < routes.Count; i++)
        {
            if ((routes[i].Value.IsMatch(request) || request.NamesBackgroundSyncQueue()) && MayTake(routes[i].Key, request))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether the request leaves it to the routes, or names the queue.</summary>
    private bool MayTake(string name, HttpRequestMessage request)
    {
        if (!request.TryGetBackgroundSyncQueue(out var only))
        {
            return true;
        }

        return only is null || routes.Any(of => of.Key == only)
            ? only == name
            : throw new InvalidOperationException(
                $"The request names the queue '{only}', which its client has not. "
                + $"Name one of these: {string.Join(", ", routes.Select(static of => of.Key))}.");
    }
}

namespace BgSync.Http.Routing;

/// <summary>Answers, for every request that is sent, whether a route matches it.</summary>
/// <remarks>
/// Immutable and thread-safe. It allocates nothing, apart from what <see cref="Uri"/> computes once about itself. The method is
/// looked at first, then the path, and predicates only when no template has matched; what a predicate throws goes to the caller
/// unchanged, because it is the caller's own code.
/// </remarks>
internal sealed class RouteTable
{
    private readonly Dictionary<HttpMethod, MethodRoutes> _methods = [];

    private RouteTable()
    {
    }

    /// <summary>Compiles the routes; predicates come from <paramref name="services"/>, each once.</summary>
    public static RouteTable Compile(RouteCollection routes, IServiceProvider services)
    {
        var table = new RouteTable();
        foreach (var route in routes.Enumerate())
        {
            switch (route)
            {
                case Route.Path path:
                    table.Add(route.Methods, of => of.Paths.Add(path.Template.Segments));
                    break;
                case Route.Predicate predicate:
                    var isMatch = predicate.Resolve(services);
                    table.Add(route.Methods, of => of.Predicates.Add(isMatch));
                    break;
            }
        }

        return table;
    }

    /// <summary>Whether a route matches. A request without an absolute URI matches none.</summary>
    public bool IsMatch(HttpRequestMessage request) =>
        _methods.TryGetValue(request.Method, out var routes)
        && request.RequestUri is { IsAbsoluteUri: true } uri
        && routes.IsMatch(request, uri);

    private void Add(HttpMethod[] methods, Action<MethodRoutes> add)
    {
        foreach (var method in methods)
        {
            if (!_methods.TryGetValue(method, out var routes))
            {
                _methods.Add(method, routes = new MethodRoutes());
            }

            add(routes);
        }
    }

    private sealed class MethodRoutes
    {
        public RouteNode Paths { get; } = new();

        public List<Func<HttpRequestMessage, bool>> Predicates { get; } = [];

        public bool IsMatch(HttpRequestMessage request, Uri uri)
        {
            var path = uri.AbsolutePath.AsSpan();
            if (Paths.IsMatch(path.EndsWith('/') ? path[..^1] : path))
            {
                return true;
            }

            foreach (var predicate in Predicates)
            {
                if (predicate(request))
                {
                    return true;
                }
            }

            return false;
        }
    }
}

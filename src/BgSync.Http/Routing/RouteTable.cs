namespace BgSync.Http.Routing;

/// <summary>Answers, for every request that is sent, whether a route matches it.</summary>
/// <remarks>
/// Immutable and thread-safe. It allocates nothing, apart from what <see cref="Uri"/> computes once about itself. The method is
/// looked at first, then the path, and predicates only when no template has matched; what a predicate throws goes to the caller
/// unchanged, because it is the caller's own code.
/// </remarks>
internal sealed class RouteTable
{
    private readonly MethodRoutes[] _methods;

    private RouteTable(MethodRoutes[] methods) => _methods = methods;

    /// <summary>Compiles the routes; predicates come from <paramref name="services"/>, each once.</summary>
    public static RouteTable Compile(RouteCollection routes, IServiceProvider services)
    {
        var paths = routes.Enumerate().OfType<Route.Path>()
            .SelectMany(route => route.Methods, (route, method) => (method, route.Template.Segments))
            .ToLookup(path => path.method, path => path.Segments);
        var predicates = routes.Enumerate().OfType<Route.Predicate>()
            .Select(route => (route.Methods, IsMatch: route.Resolve(services)))
            .SelectMany(route => route.Methods, (route, method) => (method, route.IsMatch))
            .ToLookup(predicate => predicate.method, predicate => predicate.IsMatch);

        return new RouteTable([.. paths.Select(group => group.Key)
            .Union(predicates.Select(group => group.Key))
            .Select(method => new MethodRoutes(method, new RouteNode(paths[method]), [.. predicates[method]]))]);
    }

    /// <summary>Whether a route matches. A request without an absolute URI matches none.</summary>
    public bool IsMatch(HttpRequestMessage request)
    {
        // There are few, and to compare is quicker than to hash.
        foreach (var routes in _methods)
        {
            if (routes.Method == request.Method)
            {
                return request.RequestUri is { IsAbsoluteUri: true } uri && routes.IsMatch(request, uri);
            }
        }

        return false;
    }

    private sealed class MethodRoutes(HttpMethod method, RouteNode paths, Func<HttpRequestMessage, bool>[] predicates)
    {
        public HttpMethod Method => method;

        public bool IsMatch(HttpRequestMessage request, Uri uri)
        {
            if (paths.TakesAnything)
            {
                return true;
            }

            var path = uri.AbsolutePath.AsSpan();
            if (paths.IsMatch(path.EndsWith('/') ? path[..^1] : path))
            {
                return true;
            }

            foreach (var predicate in predicates)
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

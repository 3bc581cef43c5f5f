namespace BgSync.Http.Routing;

/// <summary>Answers, for every request that is sent, whether a route matches it.</summary>
/// <remarks>
/// Immutable and thread-safe. It allocates nothing, apart from what <see cref="Uri"/> computes once about itself. The method is
/// looked at first, then the path, and predicates only when no template has matched. A predicate that throws does not match.
/// </remarks>
internal sealed class RouteTable
{
    private readonly MethodRoutes[] _methods;

    private RouteTable(MethodRoutes[] methods) => _methods = methods;

    /// <summary>Compiles the routes.</summary>
    /// <param name="routes">The routes.</param>
    /// <param name="services">Where predicates come from, each once.</param>
    /// <param name="failed">Told of the first failure of each predicate.</param>
    public static RouteTable Compile(RouteCollection routes, IServiceProvider services, Action<Exception> failed)
    {
        var paths = routes.Enumerate().OfType<Route.Path>()
            .SelectMany(route => route.Methods, (route, method) => (method, route.Template.Segments))
            .ToLookup(path => path.method, path => path.Segments);
        var predicates = routes.Enumerate().OfType<Route.Predicate>()
            .Select(route => (route.Methods, IsMatch: new SafePredicate(route.Resolve(services), failed)))
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

    /// <summary>A predicate of the application, which does not match where it throws.</summary>
    private sealed class SafePredicate(Func<HttpRequestMessage, bool> isMatch, Action<Exception> failed)
    {
        private int _failures;

        public bool IsMatch(HttpRequestMessage request)
        {
            try
            {
                return isMatch(request);
            }
            catch (Exception e)
            {
                // It is called for every request, and would fill the log.
                if (Interlocked.Exchange(ref _failures, 1) == 0)
                {
                    failed(e);
                }

                return false;
            }
        }
    }

    private sealed class MethodRoutes(HttpMethod method, RouteNode paths, SafePredicate[] predicates)
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
                if (predicate.IsMatch(request))
                {
                    return true;
                }
            }

            return false;
        }
    }
}

namespace BgSync.Http.Routing;

/// <summary>One route: the methods that it is for, and what it asks of a request.</summary>
internal abstract record Route(HttpMethod[] Methods)
{
    /// <summary>A route over the path.</summary>
    public sealed record Path(HttpMethod[] Methods, RouteTemplate Template) : Route(Methods);

    /// <summary>A route that asks code, which is made when the routes are compiled.</summary>
    public sealed record Predicate(
        HttpMethod[] Methods, Func<IServiceProvider, Func<HttpRequestMessage, bool>> Resolve) : Route(Methods);
}

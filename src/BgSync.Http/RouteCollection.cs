using System.Diagnostics.CodeAnalysis;
using BgSync.Http.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http;

/// <summary>
/// The requests that are watched: those that one of the routes matches. With no route at all, every POST, PUT, PATCH and DELETE.
/// </summary>
/// <remarks>
/// <para>A template describes the path of a request: literal segments, <c>{name}</c> for any one segment, <c>{name?}</c> for a last
/// one that may be missing, and <c>{*name}</c> or <c>{**name}</c> for whatever follows. Case and a trailing slash do not matter;
/// host and query are not looked at.</para>
/// <para>GET and HEAD are watched only by a route that names them. Routes are added before the client is first used; the collection
/// is not thread-safe.</para>
/// </remarks>
[SuppressMessage("Naming", "CA1711", Justification = "Routes are added to it and compiled, and never taken out again.")]
public sealed class RouteCollection
{
    private static readonly HttpMethod[] _unsafeMethods = [HttpMethod.Post, HttpMethod.Put, HttpMethod.Patch, HttpMethod.Delete];

    private readonly List<Route> _routes = [];

    /// <summary>How many routes were added. Default: 0, which watches every unsafe method.</summary>
    public int Count => _routes.Count;

    internal IEnumerable<Route> Enumerate() => _routes.Count > 0 ? _routes : [new Route.Path(_unsafeMethods, RouteTemplate.Anything)];

    /// <summary>Watches a path for one method.</summary>
    /// <exception cref="FormatException">The template is malformed; the message says where, and what to write instead.</exception>
    public void Add(HttpMethod method, [StringSyntax("Route")] string template)
    {
        ArgumentNullException.ThrowIfNull(method);
        _routes.Add(new Route.Path([method], RouteTemplate.Parse(template)));
    }

    /// <summary>
    /// Watches a path for the unsafe methods (<c>/albums/{album}</c>), or for the one named before it
    /// (<c>POST /albums/{album}</c>).
    /// </summary>
    /// <exception cref="FormatException">The template is malformed; the message says where, and what to write instead.</exception>
    public void Add([StringSyntax("Route")] string template)
    {
        ArgumentNullException.ThrowIfNull(template);
        var path = template.AsSpan().Trim();
        var space = path.StartsWith('/') ? -1 : path.IndexOf(' ');
        if (space < 0)
        {
            _routes.Add(new Route.Path(_unsafeMethods, RouteTemplate.Parse(path.ToString())));
        }
        else
        {
            Add(ParseMethod(path[..space], template), path[space..].TrimStart().ToString());
        }
    }

    /// <summary>Watches the requests of unsafe methods that <paramref name="predicate"/> is true for.</summary>
    /// <remarks>As <see cref="IRoutePredicate"/>: thread-safe, quick, and what it throws goes to the caller.</remarks>
    public void Add(Func<HttpRequestMessage, bool> predicate)
    {
        ArgumentNullException.ThrowIfNull(predicate);
        _routes.Add(new Route.Predicate(_unsafeMethods, _ => predicate));
    }

    /// <summary>Watches the requests of one method that <paramref name="predicate"/> is true for.</summary>
    /// <remarks>As <see cref="IRoutePredicate"/>: thread-safe, quick, and what it throws goes to the caller.</remarks>
    public void Add(HttpMethod method, Func<HttpRequestMessage, bool> predicate)
    {
        ArgumentNullException.ThrowIfNull(method);
        ArgumentNullException.ThrowIfNull(predicate);
        _routes.Add(new Route.Predicate([method], _ => predicate));
    }

    /// <summary>
    /// Watches the requests of unsafe methods that a <typeparamref name="TPredicate"/> matches. It is taken from the container, or
    /// made with what the container has when it was not registered.
    /// </summary>
    public void Add<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TPredicate>()
        where TPredicate : class, IRoutePredicate =>
        _routes.Add(new Route.Predicate(_unsafeMethods, Resolve<TPredicate>));

    /// <summary>Watches the requests of one method that a <typeparamref name="TPredicate"/> matches.</summary>
    /// <inheritdoc cref="Add{TPredicate}()"/>
    public void Add<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TPredicate>(HttpMethod method)
        where TPredicate : class, IRoutePredicate
    {
        ArgumentNullException.ThrowIfNull(method);
        _routes.Add(new Route.Predicate([method], Resolve<TPredicate>));
    }

    private static Func<HttpRequestMessage, bool> Resolve<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TPredicate>(IServiceProvider services)
        where TPredicate : class, IRoutePredicate =>
        ActivatorUtilities.GetServiceOrCreateInstance<TPredicate>(services).IsMatch;

    private static HttpMethod ParseMethod(ReadOnlySpan<char> method, string template)
    {
        try
        {
            return HttpMethod.Parse(method);
        }
        catch (FormatException failure)
        {
            throw new FormatException(
                $"Route \"{template}\": \"{method}\" is not an HTTP method. Write one method, a space and a path, as in "
                + "\"POST /albums\", or the path alone for every unsafe method.",
                failure);
        }
    }
}

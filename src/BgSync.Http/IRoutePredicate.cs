namespace BgSync.Http;

/// <summary>Decides whether a request is watched, where a template does not say enough.</summary>
/// <remarks>
/// One instance serves a queue for its whole life: it must be thread-safe. It is called on every request of its methods that no
/// template matches, before the request is sent, so it should be quick. Where it throws, the route does not match; the
/// first failure is logged.
/// </remarks>
public interface IRoutePredicate
{
    /// <summary>Whether <paramref name="request"/>, whose URI is absolute, is to be queued when it cannot be sent.</summary>
    bool IsMatch(HttpRequestMessage request);
}

using BgSync.Http.Queue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Options;

namespace BgSync.Http.Replay;

/// <summary>
/// Sends replays through the queue's own client: from the queue's handler inwards, so that outer handlers do not run twice and
/// inner ones, such as one that adds a fresh token, do.
/// </summary>
internal sealed class ReplayPipeline(
    QueueContext queue,
    IHttpMessageHandlerFactory handlers,
    IOptionsMonitor<HttpClientFactoryOptions> clients,
    IServiceScopeFactory scopes)
{
    /// <summary>How many connections to a server the client has at most.</summary>
    public int MaxConnections() =>
        HandlersOf(handlers.CreateHandler(queue.Client)).OfType<WireHandler>().FirstOrDefault()?.MaxConnections ?? int.MaxValue;

    /// <summary>Opens the way for one request, and puts the secrets of its client on it.</summary>
    /// <param name="request">The request.</param>
    /// <param name="isFresh">Whether the way is to lead over connections of its own, because those of the client may be dead.</param>
    /// <exception cref="InvalidOperationException">The client's pipeline has no place for this queue any more.</exception>
    public Target Open(HttpRequestMessage request, bool isFresh)
    {
        var scope = isFresh ? scopes.CreateScope() : null;
        var chain = scope is null ? handlers.CreateHandler(queue.Client) : CreateFresh(scope.ServiceProvider);
        AddSecrets(request, chain);
        var entrance = HandlersOf(chain).OfType<IReplayEntrance>().FirstOrDefault(entrance => entrance.Queue == queue.Name)
            ?? throw new InvalidOperationException(
                $"The pipeline of the client '{queue.Client}' has no handler of the queue '{queue.Name}'. "
                + "Was it removed in ConfigureAdditionalHttpMessageHandlers?");
        return new(chain, entrance, scope);
    }

    private static IEnumerable<HttpMessageHandler> HandlersOf(HttpMessageHandler chain)
    {
        for (HttpMessageHandler? handler = chain; handler is not null; handler = (handler as DelegatingHandler)?.InnerHandler)
        {
            yield return handler;
        }
    }

    /// <summary>Makes a chain as the factory of clients does, with a primary handler, and so with connections, of its own.</summary>
    private HttpMessageHandler CreateFresh(IServiceProvider services)
    {
        var builder = services.GetRequiredService<HttpMessageHandlerBuilder>();
        builder.Name = queue.Client;
        Action<HttpMessageHandlerBuilder> configure = target =>
        {
            foreach (var action in clients.Get(queue.Client).HttpMessageHandlerBuilderActions)
            {
                action(target);
            }
        };
        // The first filter is the outermost.
        foreach (var filter in services.GetServices<IHttpMessageHandlerBuilderFilter>().Reverse())
        {
            configure = filter.Configure(configure);
        }

        configure(builder);
        return builder.Build();
    }

    /// <summary>Secrets are not stored; those that the client sends with every request are put back.</summary>
    private void AddSecrets(HttpRequestMessage request, HttpMessageHandler chain)
    {
        using var configured = new HttpClient(chain, disposeHandler: false);
        foreach (var configure in clients.Get(queue.Client).HttpClientActions)
        {
            configure(configured);
        }

        foreach (var (name, values) in configured.DefaultRequestHeaders.NonValidated)
        {
            if (queue.Options.Capture.SecretHeaders.Contains(name) && !request.Headers.NonValidated.Contains(name))
            {
                request.Headers.TryAddWithoutValidation(name, values);
            }
        }
    }

    /// <summary>A chain and the place in it where replays enter. It is alive until it is disposed of, after the response.</summary>
    /// <param name="chain">The chain.</param>
    /// <param name="entrance">The place.</param>
    /// <param name="scope">The services of a chain that is of this target alone, and ends with it.</param>
    internal sealed class Target(HttpMessageHandler chain, IReplayEntrance entrance, IServiceScope? scope) : IDisposable
    {
        public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            entrance.SendReplayAsync(request, cancellationToken);

        public void Dispose()
        {
            if (scope is not null)
            {
                chain.Dispose();
                scope.Dispose();
            }

            // The factory disposes of a chain whose outermost handler was collected.
            GC.KeepAlive(chain);
        }
    }
}

using Microsoft.Extensions.Http;
using Microsoft.Extensions.Options;

namespace BgSync.Http.Replay;

/// <summary>
/// Sends replays through the queue's own client: from the queue's handler inwards, so that outer handlers do not run twice and
/// inner ones, such as one that adds a fresh token, do.
/// </summary>
internal sealed class ReplayPipeline(
    string queue,
    string client,
    ISet<string> secretHeaders,
    IHttpMessageHandlerFactory handlers,
    IOptionsMonitor<HttpClientFactoryOptions> clients)
{
    /// <summary>Opens the way for one request, and puts the secrets of its client on it.</summary>
    /// <exception cref="InvalidOperationException">The client's pipeline has no place for this queue any more.</exception>
    public Way Open(HttpRequestMessage request)
    {
        var chain = handlers.CreateHandler(client);
        AddSecrets(request, chain);
        ReplayMark.Set(request);
        return new(chain, EntranceOf(chain));
    }

    private IReplayEntrance EntranceOf(HttpMessageHandler chain)
    {
        for (HttpMessageHandler? handler = chain; handler is not null; handler = (handler as DelegatingHandler)?.InnerHandler)
        {
            if (handler is IReplayEntrance entrance && entrance.Queue == queue)
            {
                return entrance;
            }
        }

        throw new InvalidOperationException(
            $"The pipeline of the client '{client}' has no handler of the queue '{queue}'. "
            + "Was it removed in ConfigureAdditionalHttpMessageHandlers?");
    }

    /// <summary>Secrets are not stored; those that the client sends with every request are put back.</summary>
    private void AddSecrets(HttpRequestMessage request, HttpMessageHandler chain)
    {
        using var configured = new HttpClient(chain, disposeHandler: false);
        foreach (var configure in clients.Get(client).HttpClientActions)
        {
            configure(configured);
        }

        foreach (var (name, values) in configured.DefaultRequestHeaders.NonValidated)
        {
            if (secretHeaders.Contains(name) && !request.Headers.NonValidated.Contains(name))
            {
                request.Headers.TryAddWithoutValidation(name, values);
            }
        }
    }

    /// <summary>A chain and the place in it where replays enter.</summary>
    internal readonly struct Way(HttpMessageHandler chain, IReplayEntrance entrance)
    {
        public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return await entrance.SendReplayAsync(request, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                // The factory disposes of a chain whose outermost handler was collected.
                GC.KeepAlive(chain);
            }
        }
    }
}

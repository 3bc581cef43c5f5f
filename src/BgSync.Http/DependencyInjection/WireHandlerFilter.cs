using BgSync.Http.Replay;
using Microsoft.Extensions.Http;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts a <see cref="WireHandler"/> next to the primary handler of each client that has queues.</summary>
internal sealed class WireHandlerFilter(QueueRegistrations registrations) : IHttpMessageHandlerBuilderFilter
{
    public Action<HttpMessageHandlerBuilder> Configure(Action<HttpMessageHandlerBuilder> next) => builder =>
    {
        next(builder);
        if (builder.Name is { } client && registrations.QueuesOf(client).Any())
        {
            builder.AdditionalHandlers.Add(new WireHandler(MaxConnectionsOf(builder.PrimaryHandler)));
        }
    };

    private static int MaxConnectionsOf(HttpMessageHandler primary)
    {
        while (primary is DelegatingHandler { InnerHandler: { } inner })
        {
            primary = inner;
        }

        return primary switch
        {
            SocketsHttpHandler sockets => sockets.MaxConnectionsPerServer,
            HttpClientHandler client => client.MaxConnectionsPerServer,
            _ => int.MaxValue,
        };
    }
}

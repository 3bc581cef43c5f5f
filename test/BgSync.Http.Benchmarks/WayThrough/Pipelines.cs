using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>Clients that are alike but for one handler.</summary>
internal static class Pipelines
{
    /// <summary>A route that a request to <c>/orders/17/items</c> takes.</summary>
    public const string MatchedRoute = "POST /orders/{order}/items";

    /// <summary>With a queue that has so many routes, the matching one last.</summary>
    public static ServiceProvider WithQueue(HttpMessageHandler server, int routes, bool isMatched) => Build(
        server,
        client => client.AddBackgroundSync("orders", sync =>
        {
            for (var i = 1; i < routes; i++)
            {
                sync.Routes.Add($"POST /resource{i}/{{id}}/items");
            }

            sync.Routes.Add(isMatched ? MatchedRoute : "POST /elsewhere/{id}/items");
        }));

    /// <summary>With a handler that does nothing in the queue's place.</summary>
    public static ServiceProvider WithEmptyHandler(HttpMessageHandler server) =>
        Build(server, static client => client.AddHttpMessageHandler(static () => new EmptyHandler()));

    /// <summary>The chain of a client from the handler that is measured inwards.</summary>
    public static HttpMessageInvoker InvokerOf<THandler>(IServiceProvider services)
        where THandler : DelegatingHandler
    {
        var handler = services.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler("api");
        while (handler is DelegatingHandler { InnerHandler: { } inner } and not THandler)
        {
            handler = inner;
        }

        return new HttpMessageInvoker(handler);
    }

    public static HttpClient ClientOf(IServiceProvider services) => services.GetRequiredService<IHttpClientFactory>().CreateClient("api");

    private static ServiceProvider Build(HttpMessageHandler server, Action<IHttpClientBuilder> addHandler)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddBackgroundSyncMemory();
        var client = services.AddHttpClient("api").RemoveAllLoggers();
        addHandler(client);
        client.ConfigurePrimaryHttpMessageHandler(() => server);
        return services.BuildServiceProvider();
    }
}

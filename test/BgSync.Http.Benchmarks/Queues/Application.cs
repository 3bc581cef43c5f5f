using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>An application with one client and one queue, as its own code has it.</summary>
internal sealed class Application : IAsyncDisposable
{
    private const string QueueName = "orders";

    private readonly ServiceProvider _services;

    /// <param name="store">Where it keeps its queue.</param>
    /// <param name="folder">The folder of the store.</param>
    /// <param name="server">The server of its client.</param>
    /// <param name="configure">Sets the options of the queue.</param>
    public Application(StoreSubject store, string folder, Uri server, Action<BackgroundSyncOptions>? configure = null)
    {
        _services = store.Build(folder, services => services
            .AddHttpClient("api", client => client.BaseAddress = server)
            .RemoveAllLoggers()
            .AddBackgroundSync(QueueName, configure ?? (static _ => { })));
        Queue = _services.GetRequiredKeyedService<IBackgroundSyncQueue>(QueueName);
        Client = _services.GetRequiredService<IHttpClientFactory>().CreateClient("api");
    }

    public IBackgroundSyncQueue Queue { get; }

    public HttpClient Client { get; }

    /// <summary>Queues a POST.</summary>
    public async ValueTask PushAsync(Uri uri, HttpContent content)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, uri) { Content = content };
        await Queue.PushAsync(request);
    }

    public ValueTask DisposeAsync()
    {
        Client.Dispose();
        return _services.DisposeAsync();
    }
}

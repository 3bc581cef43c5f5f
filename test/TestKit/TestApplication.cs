using BgSync.Http;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace TestKit;

/// <summary>An application with one client and one queue, on a real SQLite file.</summary>
public sealed class TestApplication : IAsyncDisposable
{
    public const string QueueName = "test";

    private readonly ServiceProvider _services;
    private readonly TempDirectory? _ownDirectory;

    /// <param name="configure">The queue's options.</param>
    /// <param name="client">The client, before the queue is added to it.</param>
    /// <param name="inner">The client, after the queue is added to it.</param>
    /// <param name="services">More services, or others.</param>
    /// <param name="primary">The primary handler; a real one by default.</param>
    /// <param name="clock">The time; the system's by default.</param>
    /// <param name="directory">Where the file is; a fresh directory by default.</param>
    public TestApplication(
        Action<BackgroundSyncOptions>? configure = null,
        Action<IHttpClientBuilder>? client = null,
        Action<IHttpClientBuilder>? inner = null,
        Action<IServiceCollection>? services = null,
        Func<HttpMessageHandler>? primary = null,
        TimeProvider? clock = null,
        TempDirectory? directory = null)
    {
        _ownDirectory = directory is null ? new TempDirectory() : null;
        Path = System.IO.Path.Combine((directory ?? _ownDirectory!).Path, "queues.db");
        var collection = new ServiceCollection();
        collection.AddLogging(logging => logging.AddProvider(Logs).SetMinimumLevel(LogLevel.Trace));
        collection.AddSingleton<INetworkStatus>(Network);
        collection.AddSingleton(clock ?? TimeProvider.System);
        var builder = collection.AddHttpClient("api");
        client?.Invoke(builder);
        builder.AddBackgroundSync(QueueName, options =>
        {
            options.Replay.TriggerJitter = TimeSpan.Zero;
            options.Randomizer = () => 1;
            configure?.Invoke(options);
        });
        inner?.Invoke(builder);
        if (primary is not null)
        {
            builder.ConfigurePrimaryHttpMessageHandler(primary);
        }

        collection.AddBackgroundSyncSqlite(Path);
        services?.Invoke(collection);
        _services = collection.BuildServiceProvider(new ServiceProviderOptions { ValidateOnBuild = true, ValidateScopes = true });
    }

    public string Path { get; }

    public LogCollector Logs { get; } = new();

    public FakeNetworkStatus Network { get; } = new();

    public IServiceProvider Services => _services;

    public HttpClient Client => _services.GetRequiredService<IHttpClientFactory>().CreateClient("api");

    public IBackgroundSyncQueue Queue => _services.GetRequiredKeyedService<IBackgroundSyncQueue>(QueueName);

    internal IQueueStore Store => _services.GetRequiredService<IQueueStore>();

    public IBackgroundSync Sync => _services.GetRequiredService<IBackgroundSync>();

    public async Task<List<QueuedEntry>> EntriesAsync() => await Queue.GetAllAsync().ToListAsync();

    public async Task<List<DeadLetter>> DeadLettersAsync() => await Queue.GetDeadLettersAsync().ToListAsync();

    public async Task<byte[]> BodyOfAsync(long entryId)
    {
        await using var body = await Store.OpenBodyAsync(QueueName, entryId, CancellationToken.None);
        using var copy = new MemoryStream();
        await body!.CopyToAsync(copy);
        return copy.ToArray();
    }

    public async ValueTask DisposeAsync()
    {
        // At once: the grace would wait for a clock that nobody moves any more.
        await Sync.StopAsync(new CancellationToken(canceled: true));
        await _services.DisposeAsync();
        _ownDirectory?.Dispose();
    }
}

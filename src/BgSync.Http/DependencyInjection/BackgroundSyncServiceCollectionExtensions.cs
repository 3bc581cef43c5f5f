using BgSync.Http;
using BgSync.Http.Connectivity;
using BgSync.Http.Diagnostics;
using BgSync.Http.Events;
using BgSync.Http.Replay;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Storage.Sqlite;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Chooses where the queues are kept.</summary>
public static class BackgroundSyncServiceCollectionExtensions
{
    /// <summary>
    /// Keeps all queues in one SQLite file. This is also the default, with a file in the application's data folder.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="path">The file, made when it is not there; a relative path counts from the current directory. On a local disk:
    /// SQLite cannot share a file over a network.</param>
    public static IServiceCollection AddBackgroundSyncSqlite(this IServiceCollection services, string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return services.AddBackgroundSyncSqlite(options => options.Path = path);
    }

    /// <inheritdoc cref="AddBackgroundSyncSqlite(IServiceCollection, string)"/>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets the options.</param>
    public static IServiceCollection AddBackgroundSyncSqlite(this IServiceCollection services, Action<SqliteStoreOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddBackgroundSyncCore();
        services.Configure(configure);
        return services.Replace(ServiceDescriptor.Singleton<IQueueStore>(CreateSqliteStore));
    }

    /// <summary>
    /// Keeps all queues in memory, for tests: a request told to be queued is gone when the process ends.
    /// </summary>
    /// <param name="services">The services.</param>
    public static IServiceCollection AddBackgroundSyncMemory(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddBackgroundSyncCore();
        return services.Replace(ServiceDescriptor.Singleton<IQueueStore>(
            static provider => new MemoryQueueStore(provider.GetRequiredService<SteadyTime>())));
    }

    /// <summary>Adds what all queues share, once.</summary>
    internal static QueueRegistrations AddBackgroundSyncCore(this IServiceCollection services)
    {
        if (services.FirstOrDefault(static service => service.ServiceType == typeof(QueueRegistrations)) is { } added)
        {
            return (QueueRegistrations)added.ImplementationInstance!;
        }

        var registrations = new QueueRegistrations();
        services.AddSingleton(registrations);
        services.AddHttpClient();
        services.Insert(0, ServiceDescriptor.Singleton<IHttpMessageHandlerBuilderFilter, ResilienceOrderFilter>());
        services.AddMetrics();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<INetworkEvents, SystemNetworkEvents>();
        services.TryAddSingleton<INetworkStatus>(static provider => new SystemNetworkStatus(
            provider.GetRequiredService<INetworkEvents>(),
            new SafeLogger(provider.GetRequiredService<ILogger<SystemNetworkStatus>>())));
        services.TryAddSingleton<IQueueStore>(CreateSqliteStore);
        services.AddSingleton(static provider => new SteadyTime(provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<BackgroundSyncService>();
        services.TryAddSingleton<IBackgroundSync>(static provider => provider.GetRequiredService<BackgroundSyncService>());
        services.AddSingleton<IBackgroundSyncQueues, BackgroundSyncQueues>();
        services.AddSingleton<IHostedService>(static provider => provider.GetRequiredService<BackgroundSyncService>());
        services.AddSingleton<IHttpMessageHandlerBuilderFilter, WireHandlerFilter>();
        services.AddSingleton<IValidateOptions<BackgroundSyncOptions>, BackgroundSyncOptionsValidator>();
        services.AddSingleton<BackgroundSyncMetrics>();
        services.AddSingleton<EntryEventFeed>();
        services.AddSingleton<EntryObservers>();
        services.AddSingleton<EntryWaiters>();
        services.AddSingleton<EntryEvents>();
        services.AddSingleton(static provider => new OriginCircuits(provider.GetRequiredService<SteadyTime>()));
        return registrations;
    }

    private static SqliteQueueStore CreateSqliteStore(IServiceProvider provider) => new(
        provider.GetRequiredService<IOptions<SqliteStoreOptions>>().Value,
        provider.GetRequiredService<SteadyTime>(),
        provider.GetRequiredService<ILogger<SqliteQueueStore>>());
}

using BgSync.Http.Diagnostics;
using BgSync.Http.LiteDB;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Keeps the queues in LiteDB.</summary>
public static class BackgroundSyncLiteDBServiceCollectionExtensions
{
    /// <summary>Keeps all queues in one LiteDB file, each queue in a collection that bears its name.</summary>
    /// <param name="services">The services.</param>
    /// <param name="connectionString">The file, made when it is not there, or <c>Filename=…;Password=…</c>; a relative path counts from
    /// the current directory. On a local disk, and for one process at a time.</param>
    public static IServiceCollection AddBackgroundSyncLiteDB(this IServiceCollection services, string connectionString)
    {
        ArgumentException.ThrowIfNullOrEmpty(connectionString);
        return services.AddBackgroundSyncLiteDB(options => options.ConnectionString = connectionString);
    }

    /// <inheritdoc cref="AddBackgroundSyncLiteDB(IServiceCollection, string)"/>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets the options.</param>
    public static IServiceCollection AddBackgroundSyncLiteDB(this IServiceCollection services, Action<LiteDBStoreOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddBackgroundSyncCore();
        services.Configure(configure);
        return services.Replace(ServiceDescriptor.Singleton<IQueueStore>(static provider => new LiteDBQueueStore(
            provider.GetRequiredService<IOptions<LiteDBStoreOptions>>().Value,
            provider.GetRequiredService<SteadyTime>(),
            provider.GetRequiredService<ILogger<LiteDBQueueStore>>())));
    }
}

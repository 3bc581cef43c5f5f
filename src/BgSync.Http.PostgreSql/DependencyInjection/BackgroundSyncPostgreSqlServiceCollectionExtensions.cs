using BgSync.Http.Diagnostics;
using BgSync.Http.PostgreSql;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Keeps the queues in PostgreSQL.</summary>
public static class BackgroundSyncPostgreSqlServiceCollectionExtensions
{
    /// <summary>
    /// Keeps all queues in a PostgreSQL database, which processes on many machines may share. Its schema is made beforehand, by
    /// <c>bgsync postgres migrate</c> or <see cref="PostgreSqlMigrations.ApplyAsync"/>.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="dataSource">The database. It stays yours to dispose of, after the container.</param>
    /// <param name="configure">Sets the options.</param>
    public static IServiceCollection AddBackgroundSyncPostgreSql(
        this IServiceCollection services, NpgsqlDataSource dataSource, Action<PostgreSqlStoreOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(dataSource);
        return services.AddStore(_ => dataSource, configure);
    }

    /// <inheritdoc cref="AddBackgroundSyncPostgreSql(IServiceCollection, NpgsqlDataSource, Action{PostgreSqlStoreOptions}?)"/>
    /// <param name="services">The services.</param>
    /// <param name="connectionString">The database; the container disposes of the connections.</param>
    /// <param name="configure">Sets the options.</param>
    public static IServiceCollection AddBackgroundSyncPostgreSql(
        this IServiceCollection services, string connectionString, Action<PostgreSqlStoreOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrEmpty(connectionString);
        services.AddKeyedSingleton(typeof(PostgreSqlQueueStore), (provider, _) =>
            new NpgsqlDataSourceBuilder(connectionString).UseLoggerFactory(provider.GetRequiredService<ILoggerFactory>()).Build());
        return services.AddStore(
            static provider => provider.GetRequiredKeyedService<NpgsqlDataSource>(typeof(PostgreSqlQueueStore)), configure);
    }

    /// <inheritdoc cref="AddBackgroundSyncPostgreSql(IServiceCollection, NpgsqlDataSource, Action{PostgreSqlStoreOptions}?)"/>
    /// <remarks>The database is the <see cref="NpgsqlDataSource"/> of the container, as <c>AddNpgsqlDataSource</c> adds it.</remarks>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets the options.</param>
    public static IServiceCollection AddBackgroundSyncPostgreSql(
        this IServiceCollection services, Action<PostgreSqlStoreOptions>? configure = null) =>
        services.AddStore(
            static provider => provider.GetService<NpgsqlDataSource>() ?? throw new InvalidOperationException(
                "There is no NpgsqlDataSource in the container. Add one (AddNpgsqlDataSource, or AddSingleton), or give "
                + "AddBackgroundSyncPostgreSql a data source or a connection string."),
            configure);

    private static IServiceCollection AddStore(
        this IServiceCollection services, Func<IServiceProvider, NpgsqlDataSource> dataSource, Action<PostgreSqlStoreOptions>? configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddBackgroundSyncCore();
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<PostgreSqlStoreOptions>, PostgreSqlStoreOptionsValidator>());
        services.AddOptions<PostgreSqlStoreOptions>().Configure(options => configure?.Invoke(options)).ValidateOnStart();
        return services.Replace(ServiceDescriptor.Singleton<IQueueStore>(provider => new PostgreSqlQueueStore(
            dataSource(provider),
            provider.GetRequiredService<IOptions<PostgreSqlStoreOptions>>().Value,
            provider.GetRequiredService<SteadyTime>(),
            provider.GetRequiredService<ILogger<PostgreSqlQueueStore>>())));
    }
}

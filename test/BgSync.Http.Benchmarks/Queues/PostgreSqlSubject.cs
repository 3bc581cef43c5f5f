using Microsoft.Extensions.DependencyInjection;
using TestKit.PostgreSql;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>PostgreSQL, on a server that is started for it alone: a database for each folder.</summary>
internal sealed class PostgreSqlSubject() : StoreSubject("PostgreSQL")
{
    // A server counts what its processes have told it, which they do at the latest when they end.
    private static readonly TimeSpan _untilTold = TimeSpan.FromSeconds(1);

    private readonly Lazy<Task<PostgreSqlCluster>> _server = new(StartAsync);
    private readonly Dictionary<string, PostgreSqlDatabase> _databases = [];

    public static bool IsHere => PostgreSqlPrograms.Find() is not null;

    public override bool FlushesItself => false;

    public override async ValueTask<long?> CountFlushesAsync()
    {
        foreach (var database in _databases.Values)
        {
            database.DataSource.Clear();
        }

        await Task.Delay(_untilTold);
        return await DatabaseOf("").ScalarAsync("SELECT wal_sync FROM pg_stat_wal");
    }

    public override async ValueTask DisposeAsync()
    {
        if (_server.IsValueCreated)
        {
            foreach (var database in _databases.Values)
            {
                await database.DisposeAsync();
            }

            await (await _server.Value).DisposeAsync();
        }

        await base.DisposeAsync();
    }

    protected override void AddTo(IServiceCollection services, string folder) =>
        services.AddBackgroundSyncPostgreSql(DatabaseOf(folder).DataSource);

    protected override async ValueTask<long> SizeAsync(string folder) =>
        await DatabaseOf(folder).ScalarAsync("SELECT pg_database_size(current_database())");

    private static async Task<PostgreSqlCluster> StartAsync()
    {
        var server = new PostgreSqlCluster();
        await server.InitializeAsync();
        return server;
    }

    private PostgreSqlDatabase DatabaseOf(string folder)
    {
        if (!_databases.TryGetValue(folder, out var database))
        {
            // Containers are built by those who do not wait.
            database = Task.Run(async () => await (await _server.Value).CreateDatabaseAsync()).GetAwaiter().GetResult();
            _databases.Add(folder, database);
        }

        return database;
    }
}

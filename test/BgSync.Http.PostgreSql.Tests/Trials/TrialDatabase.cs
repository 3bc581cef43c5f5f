using TestKit.PostgreSql;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Trials;

/// <summary>A database for the processes of a trial.</summary>
internal sealed class TrialDatabase(PostgreSqlCluster cluster) : IAsyncLifetime
{
    private PostgreSqlDatabase? _database;

    public TrialStore Store
    {
        get
        {
            cluster.Require();
            return StoreIn(_database!);
        }
    }

    /// <summary>How a process is told that its store is in a database.</summary>
    public static TrialStore StoreIn(PostgreSqlDatabase database) => new($"postgres:{database.ConnectionString}");

    public async ValueTask InitializeAsync() => _database = cluster.IsRunning ? await cluster.CreateDatabaseAsync() : null;

    public ValueTask DisposeAsync() => _database?.DisposeAsync() ?? default;
}

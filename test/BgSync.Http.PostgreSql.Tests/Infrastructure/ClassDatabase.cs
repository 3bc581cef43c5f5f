using TestKit.PostgreSql;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Infrastructure;

/// <summary>
/// A class fixture: a database that the tests of one class share. Whoever changes something calls
/// <see cref="PostgreSqlDatabase.ResetAsync"/> at its end.
/// </summary>
public sealed class ClassDatabase(PostgreSqlCluster cluster) : IAsyncLifetime
{
    private PostgreSqlDatabase? _database;

    /// <summary>The database; skips the test where there is no server.</summary>
    public PostgreSqlDatabase Database
    {
        get
        {
            cluster.Require();
            return _database!;
        }
    }

    // An exception of a fixture fails its tests; only one of a test can skip it.
    public async ValueTask InitializeAsync() => _database = cluster.IsRunning ? await cluster.CreateDatabaseAsync() : null;

    public async ValueTask DisposeAsync()
    {
        if (_database is not null)
        {
            await _database.DisposeAsync();
        }
    }
}

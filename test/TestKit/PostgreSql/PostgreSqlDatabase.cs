using System.Globalization;
using Npgsql;

namespace TestKit.PostgreSql;

/// <summary>A database of a test class's own, with the store's schema in it, and ways to look at it behind the store's back.</summary>
public sealed class PostgreSqlDatabase : IAsyncDisposable
{
    public const string Schema = "bgsync";

    /// <summary>The application name of the test's own connections, so that they are not cut with the store's.</summary>
    private const string BehindTheBack = "behind the back";

    private readonly PostgreSqlCluster _cluster;
    private readonly string _name;

    internal PostgreSqlDatabase(PostgreSqlCluster cluster, string name)
    {
        _cluster = cluster;
        _name = name;
        ConnectionString = cluster.ConnectionString(name);
        DataSource = NpgsqlDataSource.Create(ConnectionString);
        Direct = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(ConnectionString)
        {
            ApplicationName = BehindTheBack,
            // The preparation of a test is not tested: it need not wait for the disk.
            Options = "-c synchronous_commit=off",
        });
    }

    public string ConnectionString { get; }

    /// <summary>The connections that a store is given.</summary>
    public NpgsqlDataSource DataSource { get; }

    /// <summary>The connections that the test looks through.</summary>
    public NpgsqlDataSource Direct { get; }

    public async ValueTask DisposeAsync()
    {
        await DataSource.DisposeAsync();
        await Direct.DisposeAsync();
        await _cluster.DropDatabaseAsync(_name);
    }

    /// <summary>Makes a role that may log in and nothing else, and says how it gets into this database.</summary>
    public Task<string> CreateRoleAsync(string role) => _cluster.CreateRoleAsync(role, _name);

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Direct.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<long> ScalarAsync(string sql)
    {
        await using var command = Direct.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    /// <summary>Leaves the schema as it was after the migration.</summary>
    public Task ResetAsync() => ExecuteAsync($"""
        DO $$
        BEGIN
            EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('%I.%I', schemaname, tablename), ', ') || ' RESTART IDENTITY CASCADE'
                FROM pg_tables WHERE schemaname = '{Schema}' AND tablename <> 'schema_version');
        END $$
        """);

    /// <summary>Cuts the connections of the stores.</summary>
    /// <returns>How many there were.</returns>
    public Task<long> CutConnectionsAsync() => ScalarAsync($"""
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> '{BehindTheBack}'
        """);

    /// <summary>From now on the server's clock, as the store's functions read it, is <paramref name="clock"/>.</summary>
    /// <returns>Leaves it where it stands.</returns>
    public IDisposable Follow(TestClock clock) => new ServerClock(Direct, Schema, clock);
}

using Npgsql;
using TestKit;
using TestKit.PostgreSql;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Infrastructure;

/// <summary>The server that the other tests rely on.</summary>
public sealed class PostgreSqlClusterTests(PostgreSqlCluster cluster, ClassDatabase fixture) : IClassFixture<ClassDatabase>
{
    [Theory]
    [InlineData("fsync")]
    [InlineData("synchronous_commit")]
    [InlineData("full_page_writes")]
    public async Task The_server_is_as_durable_as_a_real_one(string setting)
    {
        await using var command = fixture.Database.DataSource.CreateCommand($"SHOW {setting}");

        Assert.Equal("on", await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_reset_empties_every_table_but_the_version()
    {
        var database = fixture.Database;
        await database.ExecuteAsync("CREATE TABLE bgsync.extra AS SELECT 1 AS one");

        await database.ResetAsync();

        Assert.Equal(0, await database.ScalarAsync("SELECT count(*) FROM bgsync.extra"));
        Assert.Equal(1, await database.ScalarAsync("SELECT count(*) FROM bgsync.schema_version"));
        await database.ExecuteAsync("DROP TABLE bgsync.extra");
    }

    [Fact]
    public async Task The_servers_clock_follows_the_tests()
    {
        await using var database = await cluster.CreateDatabaseAsync();
        var clock = new TestClock();
        using (database.Follow(clock))
        {
            Assert.Equal(clock.GetUtcNow().ToUnixTimeMilliseconds(), await NowAsync());

            var seenByTimer = 0L;
            await using var timer = clock.CreateTimer(
                _ => seenByTimer = Task.Run(NowAsync).GetAwaiter().GetResult(), null, TimeSpan.FromSeconds(5), Timeout.InfiniteTimeSpan);
            clock.Advance(TimeSpan.FromMinutes(1));

            Assert.Equal(clock.GetUtcNow().ToUnixTimeMilliseconds(), seenByTimer);
            clock.Advance(TimeSpan.FromMinutes(1));
            Assert.Equal(clock.GetUtcNow().ToUnixTimeMilliseconds(), await NowAsync());
        }

        Task<long> NowAsync() => database.ScalarAsync("SELECT bgsync.now_ms()");
    }

    [Fact]
    public async Task Connections_of_stores_are_cut_and_those_of_the_test_are_not()
    {
        await using var database = await cluster.CreateDatabaseAsync();
        await using var stores = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var own = await database.Direct.OpenConnectionAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, await database.CutConnectionsAsync());

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => PingAsync(stores));
        await PingAsync(own);
    }

    [Theory]
    [InlineData("fast")]
    [InlineData("immediate")]
    public async Task A_server_of_a_tests_own_comes_back_with_what_it_had(string mode)
    {
        await using var own = await PostgreSqlCluster.StartNewAsync();
        await using var database = await own.CreateDatabaseAsync();
        await using var stores = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);

        await own.RestartAsync(mode);

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => PingAsync(stores));
        await using var again = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await PingAsync(again);
        await PostgreSqlMigrations.CheckAsync(database.DataSource, PostgreSqlDatabase.Schema, TestContext.Current.CancellationToken);
    }

    private static async Task PingAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
    }
}

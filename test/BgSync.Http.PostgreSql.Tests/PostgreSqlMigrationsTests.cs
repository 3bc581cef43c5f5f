using Npgsql;
using TestKit.PostgreSql;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests;

public sealed class PostgreSqlMigrationsTests(PostgreSqlCluster cluster) : IAsyncLifetime
{
    private const string Schema = PostgreSqlDatabase.Schema;

    private PostgreSqlDatabase _database = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _database = await cluster.CreateDatabaseAsync(migrated: false);

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task A_schema_is_made_and_a_second_time_nothing_is_done()
    {
        Assert.Equal(0, await ApplyAsync());
        await PostgreSqlMigrations.CheckAsync(_database.DataSource, Schema, Cancellation);

        Assert.Equal(PostgreSqlMigrations.LatestVersion, await ApplyAsync());
    }

    [Fact]
    public async Task Of_several_at_once_one_makes_it_and_the_others_find_it_done()
    {
        var found = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ApplyAsync()));

        Assert.Equal(1, found.Count(static version => version == 0));
        Assert.Equal(7, found.Count(static version => version == PostgreSqlMigrations.LatestVersion));
    }

    [Fact]
    public async Task What_is_printed_does_what_is_applied()
    {
        await _database.ExecuteAsync(PostgreSqlMigrations.GetScript());
        await PostgreSqlMigrations.ApplyAsync(_database.DataSource, "applied", Cancellation);

        await PostgreSqlMigrations.CheckAsync(_database.DataSource, Schema, Cancellation);
        Assert.Equal(await ObjectsAsync("applied"), await ObjectsAsync(Schema));
    }

    [Fact]
    public void Nothing_is_printed_for_a_schema_that_is_up_to_date()
    {
        var script = PostgreSqlMigrations.GetScript(Schema, PostgreSqlMigrations.LatestVersion);

        Assert.DoesNotContain("CREATE", script, StringComparison.OrdinalIgnoreCase);
        Assert.Throws<ArgumentOutOfRangeException>(() => PostgreSqlMigrations.GetScript(Schema, PostgreSqlMigrations.LatestVersion + 1));
    }

    [Fact]
    public async Task A_migration_that_fails_leaves_nothing_behind()
    {
        // Enough to be in the way of the last statements of the script, not of the first.
        await _database.ExecuteAsync($"CREATE SCHEMA {Schema}; CREATE FUNCTION {Schema}.now_ms() RETURNS text LANGUAGE sql AS 'SELECT '''''");

        await Assert.ThrowsAsync<PostgresException>(ApplyAsync);

        Assert.Equal(0, await _database.ScalarAsync($"SELECT count(*) FROM pg_tables WHERE schemaname = '{Schema}'"));
    }

    [Theory]
    [InlineData("Order")]
    [InlineData("1st")]
    [InlineData("a-b")]
    [InlineData("a\"; DROP SCHEMA public; --")]
    [InlineData("")]
    public async Task A_name_that_is_none_is_refused(string schema)
    {
        Assert.Throws<ArgumentException>(() => PostgreSqlMigrations.GetScript(schema));
        await Assert.ThrowsAsync<ArgumentException>(() => PostgreSqlMigrations.ApplyAsync(_database.DataSource, schema, Cancellation));
    }

    [Fact]
    public async Task A_name_that_is_a_word_of_SQL_is_taken()
    {
        await PostgreSqlMigrations.ApplyAsync(_database.DataSource, "order", Cancellation);

        await PostgreSqlMigrations.CheckAsync(_database.DataSource, "order", Cancellation);
    }

    [Fact]
    public async Task Where_there_is_no_store_the_command_that_makes_it_is_named()
    {
        await AssertNoStoreAsync("Run: bgsync postgres migrate");

        await _database.ExecuteAsync($"CREATE SCHEMA {Schema}");
        await AssertNoStoreAsync("Run: bgsync postgres migrate");
        await AssertNoStoreAsync("Run: bgsync postgres migrate --schema other", "other");
    }

    [Fact]
    public async Task An_older_version_is_refused_with_the_command_that_migrates_it()
    {
        await ApplyAsync();
        await SetVersionAsync(PostgreSqlMigrations.LatestVersion - 1, readableFrom: 0);

        await AssertNoStoreAsync($"needs version {PostgreSqlMigrations.LatestVersion}. Run: bgsync postgres migrate");
    }

    [Fact]
    public async Task A_later_version_is_used_if_it_says_that_it_can_be_and_refused_otherwise()
    {
        const int later = PostgreSqlMigrations.LatestVersion + 1;
        await ApplyAsync();

        await SetVersionAsync(later, readableFrom: PostgreSqlMigrations.LatestVersion);
        await PostgreSqlMigrations.CheckAsync(_database.DataSource, Schema, Cancellation);

        await SetVersionAsync(later, readableFrom: later);
        await AssertNoStoreAsync("Update the library.");
        var refused = await Assert.ThrowsAsync<QueueStoreException>(ApplyAsync);
        Assert.Equal(StoreFault.NotAStore, refused.Fault);
    }

    [Fact]
    public async Task A_role_that_was_granted_nothing_is_told_what_grants_it()
    {
        await ApplyAsync();
        await using var stranger = NpgsqlDataSource.Create(await _database.CreateRoleAsync("stranger"));

        var refused = await Assert.ThrowsAsync<QueueStoreException>(
            () => PostgreSqlMigrations.CheckAsync(stranger, Schema, Cancellation));

        Assert.Equal(StoreFault.NotAStore, refused.Fault);
        Assert.Contains("bgsync postgres script --grant-to ROLE", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_role_that_may_use_the_store_may_not_change_its_schema()
    {
        await ApplyAsync();
        await using var application = NpgsqlDataSource.Create(await _database.CreateRoleAsync("appli\"cation"));
        await _database.ExecuteAsync(PostgreSqlMigrations.GetGrants("appli\"cation"));

        await PostgreSqlMigrations.CheckAsync(application, Schema, Cancellation);
        foreach (var change in new[]
        {
            $"CREATE TABLE {Schema}.mine (one integer)",
            $"DROP TABLE {Schema}.schema_version",
            $"UPDATE {Schema}.schema_version SET version = 7",
            $"CREATE OR REPLACE FUNCTION {Schema}.now_ms() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        })
        {
            await using var command = application.CreateCommand(change);
            var refused = await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync(Cancellation));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        }
    }

    private Task<int> ApplyAsync() => PostgreSqlMigrations.ApplyAsync(_database.DataSource, Schema, Cancellation);

    private Task SetVersionAsync(int version, int readableFrom) =>
        _database.ExecuteAsync($"UPDATE {Schema}.schema_version SET version = {version}, readable_from = {readableFrom}");

    private async Task AssertNoStoreAsync(string message, string schema = Schema)
    {
        var refused = await Assert.ThrowsAsync<QueueStoreException>(
            () => PostgreSqlMigrations.CheckAsync(_database.DataSource, schema, Cancellation));
        Assert.Equal(StoreFault.NotAStore, refused.Fault);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    /// <summary>The content of a schema, with its columns and the text of its functions, but for its own name.</summary>
    private async Task<string> ObjectsAsync(string schema)
    {
        await using var command = _database.Direct.CreateCommand($"""
            SELECT string_agg(what, E'\n' ORDER BY what) FROM (
                SELECT format('%s.%s %s', table_name, column_name, data_type) FROM information_schema.columns WHERE table_schema = '{schema}'
                UNION ALL SELECT replace(indexdef, '{schema}.', '') FROM pg_indexes WHERE schemaname = '{schema}'
                UNION ALL SELECT replace(pg_get_functiondef(oid), '{schema}', '')
                    FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace) AS objects (what)
            """);
        return (string)(await command.ExecuteScalarAsync(Cancellation))!;
    }
}

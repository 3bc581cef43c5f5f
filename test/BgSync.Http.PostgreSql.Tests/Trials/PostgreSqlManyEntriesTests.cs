using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using TestKit.PostgreSql;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Trials;

[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class PostgreSqlManyEntriesTests(PostgreSqlCluster cluster, ITestOutputHelper output)
    : ManyEntriesTrials(output), IAsyncLifetime
{
    private PostgreSqlDatabase? _database;
    private PostgreSqlQueueStore? _store;
    private string _scansBefore = "";

    private protected override IQueueStore Store
    {
        get
        {
            cluster.Require();
            return _store!;
        }
    }

    protected override string Unit => "Pages";

    public async ValueTask InitializeAsync()
    {
        if (cluster.IsRunning)
        {
            _database = await cluster.CreateDatabaseAsync();
            _store = new(_database.DataSource, new(), TimeProvider.System, NullLogger<PostgreSqlQueueStore>.Instance);
            // Its visits are not the store's doing. Its VACUUM ANALYZE is run by hand.
            await _database.ExecuteAsync(
                """
                DO $$
                DECLARE t text;
                BEGIN
                    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'bgsync' LOOP
                        EXECUTE format('ALTER TABLE bgsync.%I SET (autovacuum_enabled = off)', t);
                    END LOOP;
                END $$
                """);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_database is not null)
        {
            await _store!.DisposeAsync();
            await _database.DisposeAsync();
        }
    }

    protected override async Task MultiplyAsync(string queue, int times)
    {
        await using var columnsOf = _database!.Direct.CreateCommand(
            """
            SELECT string_agg(column_name, ', ') FROM information_schema.columns
            WHERE table_schema = 'bgsync' AND table_name = 'entry' AND column_name NOT IN ('id', 'position')
            """);
        var columns = (string)(await columnsOf.ExecuteScalarAsync())!;
        await using var connection = await _database.Direct.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(
            $"""
            INSERT INTO bgsync.entry (id, position, {columns})
            SELECT nextval('bgsync.id_block'), nextval('bgsync.back_position'), {columns}
            FROM generate_series(2, {times}) CROSS JOIN bgsync.entry WHERE queue = '{queue}';
            UPDATE bgsync.tally SET live = live * {times} WHERE queue = '{queue}';
            """,
            connection);
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync();
        command.CommandText = "VACUUM ANALYZE";
        await command.ExecuteNonQueryAsync();
        await PageVisits.ReportAsync(connection);
        await CountVisitedAsync();
        _scansBefore = await ReadScansAsync();
    }

    protected override Task<long> CountVisitedAsync() => PageVisits.CountAsync(_database!, _database!.DataSource);

    protected override async Task AssertIndexesAreUsedAsync()
    {
        await CountVisitedAsync();
        Assert.Equal(_scansBefore, await ReadScansAsync());
    }

    /// <summary>The whole tables that were read, but for those that have few rows however many entries there are.</summary>
    private async Task<string> ReadScansAsync()
    {
        await using var command = _database!.Direct.CreateCommand(
            """
            SELECT string_agg(relname || ' ' || seq_scan, ', ' ORDER BY relname) FROM pg_stat_user_tables
            WHERE schemaname = 'bgsync' AND relname IN ('entry', 'lane')
            """);
        return (string)(await command.ExecuteScalarAsync())!;
    }
}

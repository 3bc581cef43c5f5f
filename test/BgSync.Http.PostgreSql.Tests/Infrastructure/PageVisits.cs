using Npgsql;
using TestKit.PostgreSql;

namespace BgSync.Http.PostgreSql.Tests.Infrastructure;

/// <summary>The pages of a store's tables and indexes that its connections have looked at, in memory or on disk.</summary>
internal static class PageVisits
{
    /// <summary>Counts them while no connection of the store is at work.</summary>
    /// <param name="database">The database, in which nobody else is.</param>
    /// <param name="store">Where the store has its connections from.</param>
    public static async Task<long> CountAsync(PostgreSqlDatabase database, NpgsqlDataSource store)
    {
        // Every connection tells what it has visited when it is asked to.
        var idle = await database.ScalarAsync(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '' AND state = 'idle'");
        List<NpgsqlConnection> connections = [];
        for (var number = 0; number < idle; number++)
        {
            connections.Add(await store.OpenConnectionAsync());
            await ReportAsync(connections[^1]);
        }

        connections.ForEach(static connection => connection.Close());
        return await database.ScalarAsync(
            $"""
            SELECT coalesce(sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read, 0) + coalesce(idx_blks_hit, 0)), 0)
            FROM pg_statio_user_tables WHERE schemaname = '{PostgreSqlDatabase.Schema}'
            """);
    }

    /// <summary>
    /// Does by hand what the server's autovacuum does when it comes to it, so that what that visits is not counted at any time.
    /// </summary>
    public static async Task TidyAsync(PostgreSqlDatabase database)
    {
        await database.ExecuteAsync(
            $"""
            DO $$
            DECLARE t text;
            BEGIN
                FOR t IN
                    SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE n.nspname = '{PostgreSqlDatabase.Schema}' AND c.relkind = 'r'
                        AND NOT coalesce(c.reloptions, ARRAY[]::text[]) @> ARRAY['autovacuum_enabled=off']
                LOOP
                    EXECUTE format('ALTER TABLE {PostgreSqlDatabase.Schema}.%I SET (autovacuum_enabled = off)', t);
                END LOOP;
            END $$
            """);
        await using var connection = await database.Direct.OpenConnectionAsync();
        await using var vacuum = new NpgsqlCommand("VACUUM ANALYZE", connection) { CommandTimeout = 0 };
        await vacuum.ExecuteNonQueryAsync();
        await ReportAsync(connection);
    }

    /// <summary>Has a connection tell now what it has visited, and not in a second.</summary>
    public static async Task ReportAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT pg_stat_force_next_flush()", connection);
        await command.ExecuteNonQueryAsync();
    }
}

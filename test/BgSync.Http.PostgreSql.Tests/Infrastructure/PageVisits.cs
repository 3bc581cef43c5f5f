using Npgsql;

namespace BgSync.Http.PostgreSql.Tests.Infrastructure;

/// <summary>The pages of a store's tables and indexes that its connections have looked at, in memory or on disk.</summary>
internal static class PageVisits
{
    /// <summary>Counts them while no connection of the store is at work.</summary>
    public static async Task<long> CountAsync(PostgreSqlDatabase database)
    {
        // Every connection tells what it has visited when it is asked to.
        var idle = await database.ScalarAsync(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '' AND state = 'idle'");
        List<NpgsqlConnection> connections = [];
        for (var number = 0; number < idle; number++)
        {
            connections.Add(await database.DataSource.OpenConnectionAsync());
            await ReportAsync(connections[^1]);
        }

        connections.ForEach(static connection => connection.Close());
        return await database.ScalarAsync(
            $"""
            SELECT coalesce(sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read, 0) + coalesce(idx_blks_hit, 0)), 0)
            FROM pg_statio_user_tables WHERE schemaname = '{PostgreSqlDatabase.Schema}'
            """);
    }

    /// <summary>Has a connection tell now what it has visited, and not in a second.</summary>
    public static async Task ReportAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT pg_stat_force_next_flush()", connection);
        await command.ExecuteNonQueryAsync();
    }
}

using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using BgSync.Http.Tests.Storage;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.Tests.Trials;

[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class SqliteManyEntriesTests : ManyEntriesTrials, IAsyncDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly SqliteQueueStore _store;

    public SqliteManyEntriesTests(ITestOutputHelper output)
        : base(output) =>
        _store = new(new() { Path = DatabasePath }, TimeProvider.System, NullLogger<SqliteQueueStore>.Instance);

    private protected override IQueueStore Store => _store;

    protected override string Unit => "Pages";

    private string DatabasePath => _directory.File("queues.db");

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _directory.Dispose();
    }

    protected override Task MultiplyAsync(string queue, int times)
    {
        using var connection = Connect();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT group_concat(name, ', ') FROM pragma_table_info('entry') WHERE name NOT IN ('id', 'position')";
        var columns = (string)command.ExecuteScalar()!;
        command.CommandText =
            $"""
            BEGIN IMMEDIATE;
            WITH RECURSIVE copy (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copy WHERE number + 1 < $times)
            INSERT INTO entry (position, {columns})
            SELECT position + number * (SELECT next_back FROM queue WHERE name = $queue), {columns}
            FROM copy CROSS JOIN entry WHERE queue = $queue;
            UPDATE queue SET live = live * $times, next_back = next_back * $times WHERE name = $queue;
            COMMIT;
            """;
        command.Parameters.AddWithValue("$queue", queue);
        command.Parameters.AddWithValue("$times", times);
        command.ExecuteNonQuery();
        return Task.CompletedTask;
    }

    protected override Task<long> CountVisitedAsync() => _store.CountPagesVisitedAsync();

    protected override async Task AssertIndexesAreUsedAsync()
    {
        using var connection = Connect();
        SqlitePlan.AssertIndexed(connection, await _store.GetStatementsAsync());
    }

    private SqliteConnection Connect()
    {
        var connection = new SqliteConnection($"Data Source={DatabasePath};Pooling=False");
        connection.Open();
        return connection;
    }
}

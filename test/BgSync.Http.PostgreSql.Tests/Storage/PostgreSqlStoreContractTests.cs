using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using TestKit;
using TestKit.PostgreSql;
using TestKit.Storage;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

public sealed class PostgreSqlStoreContractTests(ClassDatabase shared) : SharedStoreContractTests, IClassFixture<ClassDatabase>
{
    private const int Connections = 4;

    private readonly PostgreSqlStoreOptions _options = new();
    private NpgsqlDataSource? _dataSource;
    private IDisposable? _clock;

    protected override TimeSpan OwnerTimeout => _options.OwnerTimeout;

    // The trees of a short queue are of one page each.
    protected override double MostGrowth => 2;

    private static string Schema => PostgreSqlDatabase.Schema;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _clock?.Dispose();
        if (_dataSource is not null)
        {
            await _dataSource.DisposeAsync();
        }

        await shared.Database.ResetAsync();
    }

    private protected override IQueueStore OpenStore()
    {
        _clock ??= shared.Database.Follow(Clock);

        // Few, and so always the same: what it costs to count a queue hangs on how many connections have ever changed it.
        _dataSource ??= NpgsqlDataSource.Create($"{shared.Database.ConnectionString};Maximum Pool Size={Connections}");
        return new PostgreSqlQueueStore(_dataSource, _options, Clock, NullLogger<PostgreSqlQueueStore>.Instance);
    }

    private protected override async Task KillAsync(IQueueStore store)
    {
        await store.DisposeAsync();
        var survivors = $"{Schema}.owner WHERE id <> '{((PostgreSqlQueueStore)store).Owner}'";
        var expected = await shared.Database.ScalarAsync($"SELECT count(*) FROM {survivors}");

        // Step by step, for who survives says so at a third of the time.
        for (var third = 0; third < 3; third++)
        {
            Clock.Advance(OwnerTimeout / 3);
            var seenUntil = (Clock.GetUtcNow() + OwnerTimeout).ToUnixTimeMilliseconds();
            await Eventually.TrueAsync(
                () => Scalar($"SELECT count(*) FROM {survivors} AND seen_until = {seenUntil}") == expected,
                "those that live have said so");
        }
    }

    private long Scalar(string sql) => shared.Database.ScalarAsync(sql).GetAwaiter().GetResult();

    protected override Task<long> CountBodiesAsync() => shared.Database.ScalarAsync(
        $"SELECT (SELECT count(*) FROM {Schema}.body_draft) + (SELECT count(*) FROM {Schema}.body_chunk)");

    private protected override long CommitsOf(IQueueStore store) => ((PostgreSqlQueueStore)store).Commits;

    protected override async Task<IAsyncDisposable> HoldCommitsAsync()
    {
        await Store.CountAsync(Queue, Cancellation);
        var connection = await shared.Database.Direct.OpenConnectionAsync(Cancellation);
        await connection.BeginTransactionAsync(Cancellation);
        await using var command = new NpgsqlCommand($"LOCK TABLE {Schema}.lane, {Schema}.entry IN ACCESS EXCLUSIVE MODE", connection);
        await command.ExecuteNonQueryAsync(Cancellation);
        return connection;
    }

    protected override async Task<long> CostOfAsync(Func<Task> act)
    {
        await PageVisits.TidyAsync(shared.Database);
        var before = await PageVisits.CountAsync(shared.Database, _dataSource!);
        await act();
        return await PageVisits.CountAsync(shared.Database, _dataSource!) - before;
    }
}

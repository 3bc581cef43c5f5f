using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using TestKit.Storage;

namespace BgSync.Http.Tests.Storage;

public sealed class SqliteStoreContractTests : SharedStoreContractTests
{
    private readonly TempDirectory _directory = new();

    private string DatabasePath => _directory.File("queues.db");

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _directory.Dispose();
    }

    private protected override IQueueStore OpenStore() => new SqliteQueueStore(
        new SqliteStoreOptions { Path = DatabasePath }, Clock, NullLogger<SqliteQueueStore>.Instance);

    private protected override async Task KillAsync(IQueueStore store)
    {
        var before = Directory.GetFiles(_directory.Path, "*.owner-*");
        await base.KillAsync(store);

        // A process that was killed leaves its file behind, unlocked.
        foreach (var left in before.Where(path => !File.Exists(path)))
        {
            await File.WriteAllBytesAsync(left, [], Cancellation);
        }
    }

    protected override async Task<long> CountBodiesAsync() =>
        (await ((SqliteQueueStore)Store).QueryWriterAsync("SELECT (SELECT count(*) FROM body) + (SELECT count(*) FROM body_chunk)"))!.Value;

    private protected override long CommitsOf(IQueueStore store) => ((SqliteQueueStore)store).Commits;

    protected override async Task<IAsyncDisposable> HoldCommitsAsync()
    {
        await Store.CountAsync(Queue, Cancellation);
        var connection = new SqliteConnection($"Data Source={DatabasePath};Pooling=False");
        await connection.OpenAsync(Cancellation);
        connection.BeginTransaction(deferred: false);
        return connection;
    }

    protected override async Task<long> CostOfAsync(Func<Task> act)
    {
        var store = (SqliteQueueStore)Store;
        var before = await store.CountPagesVisitedAsync();
        await act();
        return await store.CountPagesVisitedAsync() - before;
    }
}

using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using BgSync.Http.Testing;
using BgSync.Http.Testing.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace BgSync.Http.Tests.Storage;

public sealed class SqliteStoreContractTests : StoreContractTests
{
    private readonly TempDirectory _directory = new();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _directory.Dispose();
    }

    protected override IQueueStore OpenStore() => new SqliteQueueStore(
        new SqliteStoreOptions { Path = _directory.File("queues.db") }, Clock, NullLogger<SqliteQueueStore>.Instance);
}

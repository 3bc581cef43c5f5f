using BgSync.Http.Storage;
using BgSync.Http.Storage.LiteDB;
using BgSync.Http.Testing;
using BgSync.Http.Testing.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace BgSync.Http.LiteDB.Tests.Storage;

public sealed class LiteDBStoreContractTests : StoreContractTests
{
    private readonly TempDirectory _directory = new();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _directory.Dispose();
    }

    protected override IQueueStore OpenStore() => new LiteDBQueueStore(
        new LiteDBStoreOptions { ConnectionString = _directory.File("queues.db") }, Clock, NullLogger<LiteDBQueueStore>.Instance);
}

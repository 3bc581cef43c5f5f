using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Testing.Storage;

namespace BgSync.Http.Tests.Storage;

public sealed class MemoryStoreContractTests : StoreContractTests
{
    protected override IQueueStore OpenStore() => new MemoryQueueStore(Clock);
}

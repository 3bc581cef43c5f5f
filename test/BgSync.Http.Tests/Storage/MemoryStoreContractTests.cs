using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using TestKit.Storage;

namespace BgSync.Http.Tests.Storage;

public sealed class MemoryStoreContractTests : StoreContractTests
{
    private protected override IQueueStore OpenStore() => new MemoryQueueStore(Clock);
}

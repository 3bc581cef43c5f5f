using BgSync.Http.LiteDB.Collections;
using LiteDB;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

/// <summary>Nothing is looked for but along an index.</summary>
public sealed class LitePlanTests : LiteDBStoreFixture
{
    [Fact]
    public async Task Every_range_is_found_along_its_index()
    {
        var store = Open();
        await store.AddAsync(Entry() with { CoalesceKey = "key" }, Cancellation);

        await LitePlan.AssertIndexedAsync(store, Queue, Cancellation);
    }

    [Fact]
    public async Task A_range_of_keys_is_counted_without_the_documents()
    {
        var store = Open();
        await store.AddAsync(Entry(), Cancellation);

        var keys = await store.RunAsync(
            session => session.Keys(Queue, EntryCollection.Position, long.MinValue, long.MaxValue), Cancellation);

        Assert.Equal([new BsonValue(0L)], keys);
    }
}

using BgSync.Http.LiteDB.Collections;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

/// <summary>How LiteDB looks for what the store asks for.</summary>
internal static class LitePlan
{
    /// <summary>Asserts of every index that what is looked for by it is found along it, without a filter and a sort.</summary>
    public static async Task AssertIndexedAsync(LiteDBQueueStore store, string entries, CancellationToken cancellationToken)
    {
        var indexes = EntryCollection.Indexes.Select(index => (Collection: entries, Index: index))
            .Concat(LiteSchema.Indexes)
            .Append((LiteSchema.Chunks, LiteIndex.Id));
        foreach (var (collection, index) in indexes)
        {
            var plan = await store.RunAsync(session => session.Explain(collection, index, 1, 2), cancellationToken);

            Assert.StartsWith("INDEX RANGE SCAN", plan["index"]["mode"].AsString, StringComparison.Ordinal);
            Assert.Equal(index.Expression, plan["index"]["expr"].AsString);
            Assert.True(plan["filters"].IsNull, "Documents are filtered: " + plan);
            Assert.True(plan["orderBy"].IsNull, "Documents are sorted: " + plan);
        }
    }
}

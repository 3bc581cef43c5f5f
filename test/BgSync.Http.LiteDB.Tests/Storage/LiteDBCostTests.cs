using System.Globalization;
using BgSync.Http.Storage;
using BgSync.Http.Storage.LiteDB;
using BgSync.Http.Storage.LiteDB.Collections;
using LiteDB;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

/// <summary>No operation looks at more documents in a longer queue, and none is looked for but along an index.</summary>
public sealed class LiteDBCostTests : LiteDBStoreFixture
{
    [Fact]
    public async Task No_operation_reads_more_in_a_longer_queue()
    {
        var store = Open();
        await FillAsync(store, 0, 1_000);
        var shorter = await MeasureAsync(store);
        await FillAsync(store, 1_000, 50_000);

        var longer = await MeasureAsync(store);

        Assert.Equal(shorter, longer);
        Assert.All(longer, static operation => Assert.InRange(operation.Reads, 0, 12));
    }

    [Fact]
    public async Task Every_range_is_found_along_its_index()
    {
        var store = Open();
        await store.AddAsync(Entry() with { CoalesceKey = "key" }, Cancellation);
        var indexes = EntryCollection.Indexes.Select(static index => (Collection: Queue, Index: index))
            .Concat(LiteSchema.Indexes)
            .Append((LiteSchema.Chunks, LiteIndex.Id));

        foreach (var (collection, index) in indexes)
        {
            var plan = await store.RunAsync(session => session.Explain(collection, index, 1, 2), Cancellation);

            Assert.StartsWith("INDEX RANGE SCAN", plan["index"]["mode"].AsString, StringComparison.Ordinal);
            Assert.Equal(index.Expression, plan["index"]["expr"].AsString);
            Assert.True(plan["filters"].IsNull, "Documents are filtered: " + plan);
            Assert.True(plan["orderBy"].IsNull, "Documents are sorted: " + plan);
        }
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

    private async Task FillAsync(LiteDBQueueStore store, int from, int to)
    {
        foreach (var chunk in Enumerable.Range(from, to - from).Chunk(256))
        {
            await Task.WhenAll(chunk.Select(number => store.AddAsync(
                Entry(lane: (number % 500).ToString(CultureInfo.InvariantCulture)) with
                {
                    ExpiresAt = Clock.GetUtcNow() + TimeSpan.FromDays(7),
                    CoalesceKey = $"key {number}",
                },
                Cancellation).AsTask()));
        }
    }

    private async Task<List<(string Operation, long Reads)>> MeasureAsync(LiteDBQueueStore store)
    {
        var costs = new List<(string, long)>();
        long id = 0;
        await CostAsync("add", async () => id = (await store.AddAsync(Entry(lane: "0"), Cancellation)).Id);
        await CostAsync("find", () => store.FindAsync(Queue, id, Cancellation).AsTask());
        await CostAsync("find last", () => store.FindLastAsync(Queue, "key 7", Cancellation).AsTask());
        await CostAsync("edit", async () =>
        {
            var entry = await store.FindAsync(Queue, id, Cancellation);
            Assert.Equal(EntryChange.Done, await store.ReplaceAsync(entry!, null, TimeSpan.Zero, Cancellation));
        });
        await CostAsync("remove", () => store.RemoveAsync(Queue, id, null, Cancellation).AsTask());
        LeasedEntry? leased = null;
        await CostAsync("lease", async () => leased = await LeaseOneAsync(store));
        await CostAsync("renew", () => store.RenewAsync(leased!.Lease, LeaseTime, Cancellation).AsTask());
        await CostAsync(
            "reschedule",
            () => store.RescheduleAsync(leased!.Lease, new Retry(TimeSpan.FromHours(1), true, "offline"), Cancellation).AsTask());
        await CostAsync("clear backoff", () => store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation).AsTask());
        leased = await LeaseOneAsync(store);
        await CostAsync("complete", () => store.CompleteAsync(leased.Lease, new Delivery(200), Cancellation).AsTask());
        leased = await LeaseOneAsync(store);
        await CostAsync(
            "bury", () => store.BuryAsync(leased.Lease, new DeathCertificate(DeadLetterReason.Rejected), Cancellation).AsTask());
        await CostAsync(
            "requeue", () => store.RequeueAsync(Queue, leased.Lease.EntryId, DateTimeOffset.MaxValue, Cancellation).AsTask());
        await CostAsync("count", () => store.CountAsync(Queue, Cancellation).AsTask());
        await CostAsync("schedule", () => store.GetScheduleAsync(Queue, Cancellation).AsTask());
        await CostAsync("expire", () => store.ExpireAsync(Queue, 10, keep: true, Cancellation).AsTask());
        await CostAsync(
            "make room",
            async () => Assert.Single((await store.AddAsync(
                Entry(lane: "0") with
                {
                    Limits = new((await store.CountAsync(Queue, Cancellation)).Live, null, WhenFull.DropOldest),
                },
                Cancellation)).Dropped));
        return costs;

        async Task CostAsync(string operation, Func<Task> run)
        {
            var before = await store.RunAsync(static session => session.Reads, Cancellation);
            await run();
            costs.Add((operation, await store.RunAsync(static session => session.Reads, Cancellation) - before));
        }
    }
}

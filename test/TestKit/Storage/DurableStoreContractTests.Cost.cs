using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>The cost of an operation in a short queue and in a long one.</summary>
public abstract partial class DurableStoreContractTests
{
    private const int Few = 300;
    private const int Many = 10_000;
    private const int Repeats = 20;

    /// <summary>
    /// The cost of an operation to the storage, in a unit of the store's own that does not hang on the machine or its load: pages or
    /// rows that are read, say.
    /// </summary>
    protected abstract Task<long> CostOfAsync(Func<Task> act);

    /// <summary>
    /// How many times as much an operation may cost in a queue 33 times as long: a tree of that many more entries is a level or two
    /// higher. Default: 1.5.
    /// </summary>
    protected virtual double MostGrowth => 1.5;

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task No_operation_costs_more_in_a_longer_queue(bool isOneLane)
    {
        string LaneOf(int i) => isOneLane ? "" : $"{i}";

        await FillToAsync(Few);
        await MeasureAsync();
        var few = await MeasureAsync();
        await FillToAsync(Many);
        var many = await MeasureAsync();
        for (var retries = 5; retries > 0 && Grown().Any(); retries--)
        {
            // A server that vacuums at that moment keeps what was deleted, and the next look passes over it: least is what it costs.
            many = (await MeasureAsync()).ToDictionary(cost => cost.Key, cost => Math.Min(cost.Value, many[cost.Key]));
        }

        Assert.Equal([], Grown());

        IEnumerable<string> Grown() => few
            .Where(cost => many[cost.Key] > (MostGrowth * cost.Value) + (4 * Repeats)).Select(cost => $"{cost}, {many[cost.Key]}");

        async Task FillToAsync(int length)
        {
            var live = (int)(await Store.CountAsync(Queue, Cancellation)).Pending;
            foreach (var part in Enumerable.Range(live, length - live).Chunk(256))
            {
                await Task.WhenAll(part.Select(i => AddAsync(Entry("/" + i, LaneOf(i)) with
                {
                    CoalesceKey = $"{i}",
                    ExpiresAt = Clock.GetUtcNow().AddDays(i + 1),
                })));
            }
        }

        async Task<Dictionary<string, long>> MeasureAsync()
        {
            var entries = await ReadAllAsync();
            var next = 0;
            var dropOldest = new QueueLimits(entries.Count, null, WhenFull.DropOldest);
            var dropFirstToExpire = new QueueLimits(entries.Count, null, WhenFull.DropFirstToExpire);
            var costs = new Dictionary<string, long>
            {
                ["add"] = await RepeatAsync(() => AddAsync(NewEntry())),
                ["add in front"] = await RepeatAsync(() => AddAsync(NewEntry() with { End = QueueEnd.Front })),
                ["add an urgent one"] = await RepeatAsync(() => AddAsync(NewEntry() with { Priority = EntryPriority.High })),
                ["add where the oldest makes room"] = await RepeatAsync(() => AddAsync(NewEntry() with { Limits = dropOldest })),
                ["add where the first to expire makes room"] =
                    await RepeatAsync(() => AddAsync(NewEntry() with { Limits = dropFirstToExpire })),
                ["write ahead and commit"] = await RepeatAsync(
                    async () => await Store.CommitWriteAheadAsync(
                        await BeginWriteAheadAsync(NewEntry()), new(TimeSpan.Zero), Cancellation)),
                ["lease and complete"] = await RepeatAsync(
                    async () => await Store.CompleteAsync((await LeaseOneAsync()).Lease, new Settlement.Delivered(200), Cancellation)),
                ["lease and reschedule"] = await RepeatAsync(
                    async () => await Store.SettleAsync(
                        (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 503"), Cancellation)),
                ["lease and dead-letter"] = await RepeatAsync(
                    async () => await Store.SettleAsync(
                        (await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation)),
                ["have wait and clear"] = await RepeatAsync(async () =>
                {
                    await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromDays(1), true), Cancellation);
                    Assert.Equal(1, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
                }),
                ["lease and leave the lane"] = await RepeatAsync(
                    async () => await Store.SettleAsync(
                        (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.Zero, true, LeavesLane: true), Cancellation)),
                ["lease none of another origin"] = await RepeatAsync(
                    async () => await Store.LeaseAsync(Queue, "https://other.example", 10, LeaseTime, Cancellation)),
                ["count"] = await RepeatAsync(async () => await Store.CountAsync(Queue, Cancellation)),
                ["schedule"] = await RepeatAsync(async () => await Store.GetScheduleAsync(Queue, Cancellation)),
                ["expire none"] = await RepeatAsync(async () => await Store.ExpireAsync(Queue, 10, keep: true, Cancellation)),
                ["reclaim none"] = await RepeatAsync(async () => await Store.ReclaimAsync(Cancellation)),
                ["look into a lane"] = await RepeatAsync(async () => await Store.HasEntriesAsync(Queue, LaneOf(1), Cancellation)),
                ["read the first"] = await RepeatAsync(
                    async () => await Store.ReadAsync(Queue, QueueEnd.Front, Cancellation).FirstAsync(Cancellation)),
                ["read the last"] = await RepeatAsync(
                    async () => await Store.ReadAsync(Queue, QueueEnd.Back, Cancellation).FirstAsync(Cancellation)),
            };

            // Read now: of those that are due alike, any may have been sent and become a dead letter before.
            entries = await ReadAllAsync();
            var middle = entries.Where(static entry => entry.CoalesceKey is not null).TakeLast(Repeats).ToList();
            costs["find"] = await RepeatAsync(async () => await Store.FindAsync(Queue, middle[0].Id, Cancellation));
            costs["find by key"] = await RepeatAsync(
                async () => await Store.FindLastAsync(Queue, middle[0].CoalesceKey!, Cancellation));
            costs["replace"] = await RepeatAsync(async () => Assert.Equal(
                EntryChange.Done,
                await Store.ReplaceAsync(
                    (await Store.FindAsync(Queue, middle[0].Id, Cancellation))! with { LastError = $"{next++}" },
                    null,
                    TimeSpan.Zero,
                    Cancellation)));
            costs["remove"] = await RepeatAsync(async () => Assert.Equal(
                EntryChange.Done, await Store.RemoveAsync(Queue, middle[++next % Repeats].Id, null, Cancellation)));
            costs["clear one"] = await RepeatAsync(async () => Assert.Equal(1, await Store.ClearAsync(Queue, 1, Cancellation)));
            return costs;

            NewEntry NewEntry() => Entry("/new", LaneOf(next++));
        }

        async Task<long> RepeatAsync(Func<Task> act) => await CostOfAsync(async () =>
        {
            for (var i = 0; i < Repeats; i++)
            {
                await act();
            }
        });
    }
}

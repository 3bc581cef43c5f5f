using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Trials;

/// <summary>A queue of many entries, whose operations cost what they cost in a short one.</summary>
public abstract class ManyEntriesTrials(ITestOutputHelper output)
{
    private const int Few = 1_000;
    private const int EntriesPerLane = 10;
    private const int Repeats = 50;

    // An index of a thousand times as many has a level or two more.
    private const int MostGrowth = 2;

    // Versions of rows that nobody has cleared away yet; a scan of a short run visits a thousand pages and more.
    private const int Slack = 20;

    private static readonly TimeSpan _leaseTime = TimeSpan.FromMinutes(10);
    private static readonly RequestSnapshot _request =
        new() { Method = HttpMethod.Post, Uri = new Uri("https://api.example.com/items") };

    private protected abstract IQueueStore Store { get; }

    /// <summary>The unit that <see cref="CountVisitedAsync"/> counts.</summary>
    protected abstract string Unit { get; }

    [Fact]
    public async Task No_operation_visits_more_of_the_store_when_many_are_queued()
    {
        var many = TrialRounds.Of(shortRun: 50_000, fullRun: 1_000_000);
        var before = await MeasureAsync("few", Few);
        var after = await MeasureAsync("many", many);
        await AssertIndexesAreUsedAsync();

        output.WriteLine($"{Unit} visited with {Few} entries and with {many}:");
        foreach (var (operation, visited) in after)
        {
            output.WriteLine($"{operation}: {before[operation] / (double)Repeats:0.0} and {visited / (double)Repeats:0.0}");
        }

        Assert.All(after, cost => Assert.InRange(cost.Value / Repeats, 0, (before[cost.Key] / Repeats * MostGrowth) + Slack));
    }

    /// <summary>Adds entries behind those that a queue holds, as many to each of its lanes, faster than one by one.</summary>
    protected abstract Task MultiplyAsync(string queue, int times);

    /// <summary>How much of itself the store has looked at so far.</summary>
    protected abstract Task<long> CountVisitedAsync();

    /// <summary>Asserts of every statement that was run that it finds its rows by an index.</summary>
    protected abstract Task AssertIndexesAreUsedAsync();

    private async Task<Dictionary<string, long>> MeasureAsync(string queue, int entries)
    {
        var cancellation = TestContext.Current.CancellationToken;
        foreach (var lanes in Enumerable.Range(0, entries / EntriesPerLane).Chunk(256))
        {
            await Task.WhenAll(lanes.Select(lane => AddAsync($"lane{lane}")));
        }

        await MultiplyAsync(queue, EntriesPerLane);
        Assert.Equal(entries, (await Store.CountAsync(queue, cancellation)).Pending);

        var visited = new Dictionary<string, long>();
        await RepeatAsync("add to a lane", number => AddAsync($"lane{number}"));
        await RepeatAsync("add a lane", number => AddAsync($"new{number}"));
        await RepeatAsync("schedule", async _ => Assert.Single(await Store.GetScheduleAsync(queue, cancellation)));
        await RepeatAsync("lease and complete", async _ => Assert.True(
            await Store.CompleteAsync(await LeaseAsync(), new Settlement.Delivered(200), cancellation)));
        await RepeatAsync("lease and reschedule", async _ => Assert.True(
            await Store.SettleAsync(
                await LeaseAsync(), new Settlement.Retry(TimeSpan.FromHours(1), CountsAsAttempt: true, "HTTP 503"), cancellation)));
        await RepeatAsync("lease and dead-letter", async _ => Assert.True(
            await Store.SettleAsync(await LeaseAsync(), new Settlement.DeadLettered(DeadLetterCause.Rejected), cancellation)));
        await RepeatAsync("expire", async _ => Assert.Empty(await Store.ExpireAsync(queue, 100, keep: true, cancellation)));
        await RepeatAsync("count", async _ => Assert.Equal(entries, (await Store.CountAsync(queue, cancellation)).Pending));
        return visited;

        Task AddAsync(string lane) => Store.AddAsync(
            new NewEntry { Queue = queue, Lane = lane, Request = _request, Timestamp = TimeProvider.System.GetUtcNow() }, cancellation).AsTask();

        async Task<Lease> LeaseAsync() =>
            Assert.Single(await Store.LeaseAsync(queue, _request.Origin, 1, _leaseTime, cancellation)).Lease;

        async Task RepeatAsync(string operation, Func<int, Task> run)
        {
            // The first time, statements are prepared and caches filled.
            await run(Repeats);
            var start = await CountVisitedAsync();
            for (int number = 0; number < Repeats; number++)
            {
                await run(number);
            }

            visited.Add(operation, await CountVisitedAsync() - start);
        }
    }
}

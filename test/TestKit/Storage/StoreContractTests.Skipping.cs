using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>An entry that leaves its lane, so that the lane goes on.</summary>
public abstract partial class StoreContractTests
{
    private static readonly Settlement.Retry _skipping = new(TimeSpan.FromMinutes(5), CountsAsAttempt: true, "HTTP 500", LeavesLane: true);

    [Fact]
    public async Task An_entry_that_leaves_its_lane_waits_in_one_of_its_own_and_the_next_is_due_at_once()
    {
        var id = await AddStreamedAsync(Entry("/1", "a") with { Attempts = 2 }, new byte[10], 5);
        await Store.AddAsync(Entry("/2", "a"), Cancellation);
        await Store.AddAsync(Entry("/3", "a"), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;

        Assert.True(await Store.SettleAsync(lease, _skipping, Cancellation));
        Assert.False(await Store.SettleAsync(lease, _skipping, Cancellation));

        var entries = await ReadAllAsync();
        Assert.Equal(["/1", "/2", "/3"], entries.Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal([$"a#{id}", "a", "a"], entries.Select(entry => entry.Lane));
        Assert.Equal(
            (id, 3, "HTTP 500", Clock.GetUtcNow().AddMinutes(5), false),
            (entries[0].Id, entries[0].Attempts, entries[0].LastError, entries[0].DueAt, entries[0].IsLeased));
        Assert.Equal(new byte[10], await ReadBodyAsync(id));
        Assert.Equal(new QueueCounts(3, 0, 10), await Store.CountAsync(Queue, Cancellation));
        await AssertDrainsAsync("/2", "/3");
        Assert.False(await Store.HasEntriesAsync(Queue, "a", Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(5));
        await AssertDrainsAsync("/1");
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task The_last_entry_of_a_lane_takes_the_lane_away_with_it()
    {
        var id = await AddAsync(Entry("/1", "a"));
        await Store.SettleAsync((await LeaseOneAsync()).Lease, _skipping, Cancellation);

        Assert.False(await Store.HasEntriesAsync(Queue, "a", Cancellation));
        Assert.True(await Store.HasEntriesAsync(Queue, $"a#{id}", Cancellation));
    }

    [Fact]
    public async Task The_backoff_of_an_entry_that_left_its_lane_is_cleared_and_a_wait_asked_for_by_the_server_is_not()
    {
        await Store.AddAsync(Entry("/1", "a"), Cancellation);
        await Store.AddAsync(Entry("/2", "b"), Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, _skipping, Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, _skipping with { RequestedDelay = true }, Cancellation);

        Assert.Equal(1, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));

        await AssertDrainsAsync("/1");
        Assert.Empty(await LeaseAllAsync());
    }

    [Fact]
    public async Task An_entry_in_a_lane_of_its_own_stays_there()
    {
        var id = await AddAsync(Entry("/1", "a"));
        for (var attempt = 1; attempt <= 2; attempt++)
        {
            await Store.SettleAsync((await LeaseOneAsync()).Lease, _skipping, Cancellation);
            Clock.Advance(TimeSpan.FromMinutes(5));

            var entry = Assert.Single(await ReadAllAsync());
            Assert.Equal(($"a#{id}", attempt), (entry.Lane, entry.Attempts));
        }
    }

    [Fact]
    public async Task An_entry_put_in_front_while_another_was_sent_goes_first_when_that_one_leaves()
    {
        await Store.AddAsync(Entry("/1", "a"), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;
        await Store.AddAsync(Entry("/2", "a"), Cancellation);
        await Store.AddAsync(Entry("/0", "a") with { End = QueueEnd.Front }, Cancellation);

        await Store.SettleAsync(lease, _skipping, Cancellation);

        await AssertDrainsAsync("/0", "/2");
    }

    [Fact]
    public async Task A_change_that_was_read_before_an_entry_left_its_lane_is_refused()
    {
        var id = await AddAsync(Entry("/1", "a"));
        var read = (await Store.FindAsync(Queue, id, Cancellation))!;
        await Store.SettleAsync((await LeaseOneAsync()).Lease, _skipping, Cancellation);

        Assert.Equal(EntryChange.Outdated, await Store.ReplaceAsync(read, null, TimeSpan.Zero, Cancellation));
    }
}

using BgSync.Http.Storage;
using Xunit;

namespace BgSync.Http.Testing.Storage;

/// <summary>A lane that goes on: an entry is completed and the next one leased at one stroke.</summary>
public abstract partial class StoreContractTests
{
    [Fact]
    public async Task The_next_entry_of_a_lane_is_leased_with_the_completion_of_the_first()
    {
        await AddAsync(Entry("/1", "a"));
        var elsewhere = await AddAsync(Entry("/elsewhere", "b"));
        var second = await AddAsync(Entry("/2", "a") with { Body = EntryBody.FromBytes("two"u8.ToArray()), Attempts = 3 });
        var third = await AddAsync(Entry("/3", "a"));

        var (isDone, next) = await GoOnAsync((await LeaseLaneAsync("a")).Lease);

        Assert.True(isDone);
        Assert.Equal((second, 3, true), (next!.Lease.EntryId, next.Entry!.Attempts, next.IsReadable));
        Assert.True(next.Entry.IsLeased);
        Assert.Equal(Clock.GetUtcNow() + LeaseTime, next.Entry.DueAt);
        Assert.Equal("two"u8.ToArray(), next.Body?.ToArray() ?? await ReadBodyAsync(second));
        Assert.Equal([elsewhere, second, third], (await ReadAllAsync()).Select(static entry => entry.Id));
        Assert.Equal(elsewhere, (await LeaseOneAsync()).Lease.EntryId);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));

        (isDone, next) = await GoOnAsync(next.Lease);
        Assert.Equal((true, third), (isDone, next!.Lease.EntryId));
        Assert.Equal(new Completion(true, null), await GoOnAsync(next.Lease));
        Assert.False(await Store.HasEntriesAsync(Queue, "a", Cancellation));
        Assert.Equal(200, (await Store.GetReceiptAsync(Queue, third, Cancellation))!.StatusCode);
    }

    [Fact]
    public async Task Nothing_is_completed_nor_leased_under_a_lease_that_was_lost()
    {
        var id = await AddAsync(Entry("/1"));
        await AddAsync(Entry("/2"));
        var lost = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime);
        var current = (await LeaseOneAsync()).Lease;

        Assert.Equal(default, await GoOnAsync(lost));
        Assert.Equal(id, (await ReadAllAsync())[0].Id);
        Assert.True(await Store.CompleteAsync(current, null, Cancellation));
    }

    [Theory]
    [InlineData("other origin")]
    [InlineData("asked to wait")]
    [InlineData("waits for another")]
    [InlineData("paused")]
    public async Task The_next_entry_is_not_leased_when_it_may_not_be_sent(string obstacle)
    {
        await AddAsync(Entry("/1"));
        var awaited = await AddAsync(Entry("/awaited", "other"));
        var next = Entry("/2", origin: obstacle == "other origin" ? "https://other.example.com" : Origin);
        await AddAsync(obstacle switch
        {
            "asked to wait" => next with { Delay = TimeSpan.FromHours(1), OnlyTimeEndsDelay = true },
            "waits for another" => next with { Prerequisite = awaited },
            _ => next,
        });
        var lease = (await LeaseLaneAsync("")).Lease;
        if (obstacle == "paused")
        {
            await Store.SetPauseAsync(Queue, new QueuePause(PauseCause.Application, "by hand", Clock.GetUtcNow()), Cancellation);
        }

        Assert.Equal(new Completion(true, null), await GoOnAsync(lease));

        Assert.False(Assert.Single(await ReadAllAsync(), static entry => entry.Lane.Length == 0).IsLeased);
    }

    private async Task<Completion> GoOnAsync(Lease lease) =>
        await Store.CompleteAndLeaseNextAsync(lease, new Delivery(200), Origin, LeaseTime, Cancellation);
}

using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>A lane that goes on: entries are completed and the next ones leased at one stroke, several together.</summary>
public abstract partial class StoreContractTests
{
    [Fact]
    public async Task The_next_entry_of_a_lane_is_leased_with_the_completion_of_the_first()
    {
        await AddAsync(Entry("/1", "a"));
        var elsewhere = await AddAsync(Entry("/elsewhere", "b"));
        var second = await AddAsync(Entry("/2", "a") with { Body = EntryBody.FromBytes("two"u8.ToArray()), Attempts = 3 });
        var third = await AddAsync(Entry("/3", "a"));

        var next = Assert.Single(await GoOnAsync((await LeaseLaneAsync("a")).Lease));

        Assert.Equal((second, 3, true), (next.Lease.EntryId, next.Entry!.Attempts, next.IsReadable));
        Assert.True(next.Entry.IsLeased);
        Assert.Equal(Clock.GetUtcNow() + LeaseTime, next.Entry.DueAt);
        Assert.Equal("two"u8.ToArray(), next.Body?.ToArray() ?? await ReadBodyAsync(second));
        Assert.Equal([elsewhere, second, third], (await ReadAllAsync()).Select(static entry => entry.Id));
        Assert.Equal(elsewhere, (await LeaseOneAsync()).Lease.EntryId);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));

        next = Assert.Single(await GoOnAsync(next.Lease));
        Assert.Equal(third, next.Lease.EntryId);
        Assert.Empty(await GoOnAsync(next.Lease));
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

        var completion = await Store.SettleAsync([new(lost, null)], Next(), Cancellation);
        Assert.False(completion.IsDone);
        Assert.Empty(completion.Next);
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
        await AddAsync(Hindered(obstacle, awaited));
        var lease = (await LeaseLaneAsync("")).Lease;
        if (obstacle == "paused")
        {
            await Store.SetPauseAsync(Queue, new QueuePause(PauseCause.Application, "by hand", Clock.GetUtcNow()), Cancellation);
        }

        Assert.Empty(await GoOnAsync(lease, limit: 10));

        Assert.False(Assert.Single(await ReadAllAsync(), static entry => entry.Lane.Length == 0).IsLeased);
    }

    [Fact]
    public async Task Several_entries_of_a_lane_are_leased_together_in_their_order()
    {
        var ids = await AddLaneAsync(6);
        var elsewhere = await AddAsync(Entry("/elsewhere", "b"));

        var run = await GoOnAsync((await LeaseLaneAsync("a")).Lease, limit: 3);

        Assert.Equal(ids[1..4], run.Select(static leased => leased.Lease.EntryId));
        Assert.Single(run.Select(static leased => leased.Lease.Token).Distinct());
        Assert.All(run, leased => Assert.Equal((true, true), (leased.IsReadable, leased.Entry!.IsLeased)));
        foreach (var leased in run)
        {
            var body = leased.Body?.ToArray() ?? await ReadBodyAsync(leased.Lease.EntryId);
            Assert.Equal(BitConverter.GetBytes(Array.IndexOf(ids, leased.Lease.EntryId)), body);
        }

        Assert.Equal(ids[1..4], await LeasedIdsAsync());
        Assert.All((await ReadAllAsync()).Where(static entry => entry.IsLeased), entry =>
            Assert.Equal((Clock.GetUtcNow() + LeaseTime, 0), (entry.DueAt!.Value, entry.Attempts)));
        Assert.Null(await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation));
        Assert.Equal(elsewhere, (await LeaseOneAsync()).Lease.EntryId);
    }

    [Theory]
    [InlineData("other origin")]
    [InlineData("asked to wait")]
    [InlineData("waits for another")]
    public async Task Entries_are_leased_together_up_to_one_that_may_not_be_sent_yet(string obstacle)
    {
        await AddAsync(Entry("/1"));
        var second = await AddAsync(Entry("/2"));
        var awaited = await AddAsync(Entry("/awaited", "other"));
        await AddAsync(Hindered(obstacle, awaited));
        await AddAsync(Entry("/4"));

        Assert.Equal(second, Assert.Single(await GoOnAsync((await LeaseLaneAsync("")).Lease, limit: 10)).Lease.EntryId);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(7, 1)]
    [InlineData(8, 2)]
    [InlineData(100, 5)]
    public async Task Entries_are_leased_together_as_long_as_their_bodies_fit(long bytes, int expected)
    {
        var ids = await AddLaneAsync(6);

        var run = await GoOnAsync((await LeaseLaneAsync("a")).Lease, limit: 10, bytes);

        Assert.Equal(ids[1..(1 + expected)], run.Select(static leased => leased.Lease.EntryId));
    }

    [Fact]
    public async Task A_part_of_what_was_leased_together_is_completed_and_the_rest_stays_leased()
    {
        var (ids, run) = await LeaseTogetherAsync();

        Assert.True(await Store.SettleAsync([Delivered(run[0]), Delivered(run[1])], run[2].Lease, Cancellation));

        Assert.Equal([ids[3]], await LeasedIdsAsync());
        Assert.Equal(ids[3..], (await ReadAllAsync()).Select(static entry => entry.Id));
        Assert.Equal(200, (await Store.GetReceiptAsync(Queue, ids[2], Cancellation))!.StatusCode);
        Assert.Equal(3, (await Store.CountAsync(Queue, Cancellation)).Pending);
        Assert.Null(await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation));
        Assert.False(await Store.CompleteAsync(run[1].Lease, null, Cancellation));

        Assert.True(await Store.SettleAsync([Delivered(run[2])], rest: null, Cancellation));
        Assert.Equal(ids[4], (await LeaseOneAsync()).Lease.EntryId);
        Assert.Equal(2, (await Store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task What_is_not_kept_of_what_was_leased_together_is_released_without_an_attempt()
    {
        var (ids, run) = await LeaseTogetherAsync();

        Assert.True(await Store.SettleAsync([Delivered(run[0])], rest: null, Cancellation));

        Assert.Empty(await LeasedIdsAsync());
        Assert.False(await Store.SettleAsync([Delivered(run[1])], run[2].Lease, Cancellation));
        var again = await LeaseOneAsync();
        Assert.Equal((ids[2], 0), (again.Lease.EntryId, again.Entry!.Attempts));
    }

    [Fact]
    public async Task The_rest_of_what_was_leased_together_is_leased_anew_with_what_follows()
    {
        var (ids, run) = await LeaseTogetherAsync();

        var next = (await Store.SettleAsync([Delivered(run[0])], Next(limit: 10), Cancellation)).Next;

        Assert.Equal(ids[2..], next.Select(static leased => leased.Lease.EntryId));
        Assert.False(await Store.SettleAsync([Delivered(run[1])], run[2].Lease, Cancellation));
        Assert.Equal(ids[2..], await LeasedIdsAsync());
    }

    [Fact]
    public async Task The_first_that_is_left_is_rescheduled_and_the_others_are_released()
    {
        var (ids, run) = await LeaseTogetherAsync();
        var retry = new Settlement.Retry(TimeSpan.FromHours(1), CountsAsAttempt: true, "HTTP 503");
        Assert.False(await Store.SettleAsync(run[1].Lease, retry, Cancellation));
        Assert.True(await Store.SettleAsync([Delivered(run[0])], run[1].Lease, Cancellation));

        Assert.True(await Store.SettleAsync(run[1].Lease, retry, Cancellation));

        Assert.Empty(await LeasedIdsAsync());
        var head = (await ReadAllAsync())[0];
        Assert.Equal((ids[2], 1, Clock.GetUtcNow() + retry.Delay), (head.Id, head.Attempts, head.DueAt!.Value));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
    }

    [Fact]
    public async Task The_first_that_is_left_leaves_its_lane_and_the_others_are_released()
    {
        var (ids, run) = await LeaseTogetherAsync();
        var retry = new Settlement.Retry(TimeSpan.FromHours(1), CountsAsAttempt: true, "HTTP 503", LeavesLane: true);

        Assert.True(await Store.SettleAsync(run[0].Lease, retry, Cancellation));

        Assert.Empty(await LeasedIdsAsync());
        Assert.Equal(ids[2], (await LeaseOneAsync()).Lease.EntryId);
    }

    [Fact]
    public async Task The_first_that_is_left_becomes_a_dead_letter_and_the_others_are_released()
    {
        var (ids, run) = await LeaseTogetherAsync();
        Assert.True(await Store.SettleAsync([Delivered(run[0])], run[1].Lease, Cancellation));

        Assert.True(await Store.SettleAsync(run[1].Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation));

        Assert.Empty(await LeasedIdsAsync());
        Assert.Equal(ids[2], Assert.Single(await ReadDeadAsync()).Id);
        Assert.Equal(ids[3], (await LeaseOneAsync()).Lease.EntryId);
    }

    [Fact]
    public async Task A_lease_of_several_is_void_when_its_time_is_up_and_the_first_has_had_an_attempt()
    {
        var (ids, run) = await LeaseTogetherAsync();
        Clock.Advance(LeaseTime / 2);
        Assert.True(await Store.RenewAsync(run[0].Lease, LeaseTime, Cancellation));
        Clock.Advance(LeaseTime / 2);
        Assert.Equal(ids[1..4], await LeasedIdsAsync());
        Assert.True(await Store.SettleAsync([Delivered(run[0])], run[1].Lease, Cancellation));
        Assert.True(await Store.RenewAsync(run[0].Lease, LeaseTime, Cancellation));
        Assert.Equal(ids[2..4], await LeasedIdsAsync());
        Clock.Advance(LeaseTime);

        Assert.Empty(await LeasedIdsAsync());
        var again = await LeaseOneAsync();
        Assert.Equal((ids[2], 1), (again.Lease.EntryId, again.Entry!.Attempts));
        Assert.False(await Store.SettleAsync([Delivered(run[1])], run[2].Lease, Cancellation));
        Assert.True(await Store.CompleteAsync(again.Lease, null, Cancellation));
        Assert.Equal(0, (await LeaseOneAsync()).Entry!.Attempts);
    }

    [Fact]
    public async Task What_was_leased_together_is_not_changed_by_hand()
    {
        var (ids, run) = await LeaseTogetherAsync();

        foreach (var leased in run)
        {
            Assert.Equal(EntryChange.InFlight, await Store.RemoveAsync(Queue, leased.Lease.EntryId, null, Cancellation));
            Assert.Equal(EntryChange.InFlight, await Store.ReplaceAsync(leased.Entry!, null, TimeSpan.Zero, Cancellation));
        }

        Assert.Equal(EntryChange.Done, await Store.RemoveAsync(Queue, ids[4], null, Cancellation));
        Assert.Equal(1, await Store.ClearAsync(Queue, 10, Cancellation));
        Assert.Equal(ids[1..4], (await ReadAllAsync()).Select(static entry => entry.Id));
        Assert.True(await Store.SettleAsync(run.Select(Delivered).ToArray(), rest: null, Cancellation));
        Assert.Equal(0, (await Store.CountAsync(Queue, Cancellation)).Pending);
        Assert.False(await Store.HasEntriesAsync(Queue, "a", Cancellation));
    }

    [Fact]
    public async Task What_was_leased_together_neither_expires_nor_makes_room()
    {
        var ids = await AddLaneAsync(6, expiresAt: Clock.GetUtcNow() + TimeSpan.FromSeconds(1));
        var run = await GoOnAsync((await LeaseLaneAsync("a")).Lease, limit: 3);
        var limits = new QueueLimits(4, null, WhenFull.DropOldest);

        var added = await Store.AddAsync(Entry("/new", "b") with { Limits = limits }, Cancellation);
        Assert.Equal(ids[4..], added.Dropped.Select(static letter => letter.Id));

        Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Empty(await Store.ExpireAsync(Queue, 10, keep: true, Cancellation));
        Assert.True(await Store.SettleAsync([Delivered(run[0])], rest: null, Cancellation));
        Assert.Equal(ids[2..4], (await Store.ExpireAsync(Queue, 10, keep: true, Cancellation)).Select(static letter => letter.Id));
    }

    [Theory]
    [InlineData(QueueEnd.Front, EntryPriority.Normal)]
    [InlineData(QueueEnd.Back, EntryPriority.High)]
    internal async Task What_comes_to_stand_before_them_heads_the_lane_when_they_are_settled(QueueEnd end, EntryPriority priority)
    {
        var (ids, run) = await LeaseTogetherAsync();
        var first = await AddAsync(Entry("/first", "a") with { End = end, Priority = priority });

        Assert.True(await Store.SettleAsync([Delivered(run[0])], run[1].Lease, Cancellation));
        Assert.Equal(ids[2..4], await LeasedIdsAsync());
        var next = (await Store.SettleAsync([Delivered(run[1]), Delivered(run[2])], Next(limit: 10), Cancellation)).Next;

        Assert.Equal([first, .. ids[4..]], next.Select(static leased => leased.Lease.EntryId));
    }

    [Fact]
    public async Task One_that_waits_for_an_entry_which_was_leased_with_others_is_due_when_that_is_completed()
    {
        var (ids, run) = await LeaseTogetherAsync();
        var dependent = await AddAsync(Entry("/dependent", "b") with { Prerequisite = ids[3] });

        Assert.True(await Store.SettleAsync([Delivered(run[0]), Delivered(run[1])], run[2].Lease, Cancellation));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        Assert.True(await Store.SettleAsync([Delivered(run[2])], rest: null, Cancellation));

        Assert.Contains(
            dependent, (await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation)).Select(static leased => leased.Lease.EntryId));
    }

    [Theory]
    [InlineData("removed")]
    [InlineData("replaced")]
    [InlineData("moved")]
    [InlineData("expired")]
    [InlineData("dropped")]
    public async Task A_lease_whose_time_is_up_is_lost_when_one_that_it_covers_is_changed(string change)
    {
        var expiresAt = Clock.GetUtcNow() + LeaseTime;
        await AddAsync(Entry("/0", "a"));
        await AddAsync(Entry("/1", "a"));
        await AddAsync(Entry("/2", "a") with { ExpiresAt = expiresAt });
        await AddAsync(Entry("/3", "a"));
        var run = await GoOnAsync((await LeaseLaneAsync("a")).Lease, limit: 3);
        var second = run[1].Entry!;
        Clock.Advance(LeaseTime + TimeSpan.FromSeconds(1));

        switch (change)
        {
            case "removed":
                Assert.Equal(EntryChange.Done, await Store.RemoveAsync(Queue, second.Id, null, Cancellation));
                break;
            case "replaced":
                var body = EntryBody.FromBytes("new"u8.ToArray());
                Assert.Equal(EntryChange.Done, await Store.ReplaceAsync(second, body, TimeSpan.Zero, Cancellation));
                break;
            case "moved":
                Assert.Equal(EntryChange.Done, await Store.ReplaceAsync(second with { Lane = "b" }, null, TimeSpan.Zero, Cancellation));
                break;
            case "expired":
                Assert.Equal(second.Id, Assert.Single(await Store.ExpireAsync(Queue, 10, keep: true, Cancellation)).Id);
                break;
            default:
                var limits = new QueueLimits(3, null, WhenFull.DropFirstToExpire);
                Assert.Single((await Store.AddAsync(Entry("/new", "b") with { Limits = limits }, Cancellation)).Dropped);
                break;
        }

        Assert.False(await Store.RenewAsync(run[0].Lease, LeaseTime, Cancellation));
        Assert.False(await Store.SettleAsync(run.Select(Delivered).ToArray(), rest: null, Cancellation));
        Assert.False(await Store.SettleAsync([Delivered(run[0])], run[1].Lease, Cancellation));
        Assert.Equal(change is "replaced" or "moved", await Store.FindAsync(Queue, second.Id, Cancellation) is not null);
        Assert.Equal((run[0].Lease.EntryId, 1), ((await ReadAllAsync())[0].Id, (await ReadAllAsync())[0].Attempts));
    }

    /// <summary>A lane of six, of which the first is delivered and the next three are leased together.</summary>
    private async Task<(long[] Ids, IReadOnlyList<LeasedEntry> Run)> LeaseTogetherAsync()
    {
        var ids = await AddLaneAsync(6);
        return (ids, await GoOnAsync((await LeaseLaneAsync("a")).Lease, limit: 3));
    }

    /// <summary>Entries with bodies of four bytes: their number in the lane.</summary>
    private async Task<long[]> AddLaneAsync(int count, DateTimeOffset? expiresAt = null)
    {
        var ids = new long[count];
        for (var i = 0; i < count; i++)
        {
            ids[i] = await AddAsync(Entry($"/{i}", "a") with
            {
                Body = EntryBody.FromBytes(BitConverter.GetBytes(i)),
                ExpiresAt = expiresAt ?? DateTimeOffset.MaxValue,
            });
        }

        return ids;
    }

    private NewEntry Hindered(string obstacle, long awaited)
    {
        var entry = Entry("/hindered", origin: obstacle == "other origin" ? "https://other.example.com" : Origin);
        return obstacle switch
        {
            "asked to wait" => entry with { Delay = TimeSpan.FromHours(1), RequestedDelay = true },
            "waits for another" => entry with { Prerequisite = awaited },
            _ => entry,
        };
    }

    private static DeliveredEntry Delivered(LeasedEntry leased) => new(leased.Lease, new Settlement.Delivered(200));

    private static NextLease Next(int limit = 1, long bytes = long.MaxValue) => new(Origin, limit, bytes, LeaseTime);

    private async Task<IReadOnlyList<LeasedEntry>> GoOnAsync(Lease lease, int limit = 1, long bytes = long.MaxValue)
    {
        var completion = await Store.SettleAsync([new(lease, new Settlement.Delivered(200))], Next(limit, bytes), Cancellation);
        Assert.True(completion.IsDone);
        return completion.Next;
    }

    private async Task<IEnumerable<long>> LeasedIdsAsync() =>
        (await ReadAllAsync()).Where(static entry => entry.IsLeased).Select(static entry => entry.Id);
}

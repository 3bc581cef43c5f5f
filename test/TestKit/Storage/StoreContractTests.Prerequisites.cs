using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>An entry that waits for another.</summary>
public abstract partial class StoreContractTests
{
    [Fact]
    public async Task An_entry_waits_for_its_prerequisite_in_another_lane_and_holds_back_its_own()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        var second = (await Store.AddAsync(Entry("/2", "b") with { Prerequisite = first }, Cancellation)).Id;
        await Store.AddAsync(Entry("/3", "b"), Cancellation);

        var leased = await LeaseOneAsync();
        Assert.Equal(first, leased.Lease.EntryId);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        Assert.Null(await Store.LeaseLaneAsync(Queue, "b", LeaseTime, Cancellation));
        Assert.Null((await Store.FindAsync(Queue, second, Cancellation))!.DueAt);
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, false, Cancellation));
        Assert.True(await Store.HasEntriesAsync(Queue, "b", Cancellation));

        await Store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.Zero, true), Cancellation);
        await AssertDrainsAsync("/1", "/2", "/3");
    }

    [Fact]
    public async Task An_entry_waits_for_its_prerequisite_in_its_own_lane()
    {
        var first = (await Store.AddAsync(Entry("/1"), Cancellation)).Id;
        var second = (await Store.AddAsync(Entry("/2") with { Prerequisite = first }, Cancellation)).Id;
        await Store.AddAsync(Entry("/3") with { Prerequisite = second }, Cancellation);

        await AssertDrainsAsync("/1", "/2", "/3");
    }

    [Fact]
    public async Task An_entry_that_comes_to_head_its_lane_waits_for_its_prerequisite()
    {
        await Store.AddAsync(Entry("/1", "a"), Cancellation);
        var second = (await Store.AddAsync(Entry("/2", "b"), Cancellation)).Id;
        await Store.AddAsync(Entry("/3", "a") with { Prerequisite = second }, Cancellation);
        var heads = await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation);

        await Store.CompleteAsync(heads[0].Lease, null, Cancellation);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));

        await Store.CompleteAsync(heads[1].Lease, null, Cancellation);
        await AssertDrainsAsync("/3");
    }

    [Fact]
    public async Task A_lane_that_waits_for_a_prerequisite_is_not_due()
    {
        const string elsewhere = "https://other.example.com";
        var now = Clock.GetUtcNow();
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        await Store.AddAsync(Entry("/2", "b", elsewhere) with { Prerequisite = first }, Cancellation);

        Assert.Equal(
            [new OriginSchedule(Origin, now), new OriginSchedule(elsewhere, DateTimeOffset.MaxValue)],
            await Store.GetScheduleAsync(Queue, Cancellation));
        Assert.Equal(new QueueCounts(2, 0, 0), await Store.CountAsync(Queue, Cancellation));

        Clock.Advance(TimeSpan.FromHours(1));
        await AssertDrainsAsync("/1");
        Assert.Equal([new OriginSchedule(elsewhere, Clock.GetUtcNow())], await Store.GetScheduleAsync(Queue, Cancellation));
    }

    [Theory]
    [InlineData("complete")]
    [InlineData("deadLetter")]
    [InlineData("expire")]
    [InlineData("remove")]
    [InlineData("clear")]
    public async Task An_entry_is_due_once_its_prerequisite_has_left_however_it_left(string way)
    {
        var first = (await Store.AddAsync(Entry("/1", "a") with { ExpiresAt = Clock.GetUtcNow() }, Cancellation)).Id;
        await Store.AddAsync(Entry("/2", "b") with { Prerequisite = first }, Cancellation);
        await Store.AddAsync(Entry("/3", "c") with { Prerequisite = first }, Cancellation);

        Clock.Advance(TimeSpan.FromMilliseconds(1));
        switch (way)
        {
            case "complete":
                await Store.CompleteAsync((await LeaseOneAsync()).Lease, null, Cancellation);
                break;
            case "deadLetter":
                await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
                break;
            case "expire":
                Assert.Single(await Store.ExpireAsync(Queue, 10, keep: true, Cancellation));
                break;
            case "remove":
                await Store.RemoveAsync(Queue, first, null, Cancellation);
                break;
            case "clear":
                Assert.Equal(1, await Store.ClearAsync(Queue, 1, Cancellation));
                break;
        }

        var due = await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation);
        Assert.Equal(["/2", "/3"], due.Select(leased => leased.Entry!.Request.Uri.AbsolutePath).Order());
        Assert.All(due, leased => Assert.Equal(first, leased.Entry!.Prerequisite));
    }

    [Fact]
    public async Task A_wait_asked_for_goes_on_when_the_prerequisite_has_left_and_no_other_does()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        var dependent = Entry("/2", "b") with { Prerequisite = first, Delay = TimeSpan.FromHours(1) };
        await Store.AddAsync(dependent with { RequestedDelay = true }, Cancellation);
        await Store.AddAsync(dependent with { Lane = "c" }, Cancellation);

        await AssertDrainsAsync("/1");

        Assert.Equal("c", (await LeaseOneAsync()).Entry!.Lane);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, false, Cancellation));
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.Contains(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation), leased => leased.Entry!.Lane == "b");
    }

    [Fact]
    public async Task A_wait_asked_for_is_kept_behind_an_entry_added_in_front_while_the_prerequisite_is_there()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        await Store.AddAsync(
            Entry("/2", "b") with { Prerequisite = first, Delay = TimeSpan.FromHours(1), RequestedDelay = true }, Cancellation);
        await Store.AddAsync(Entry("/0", "b") with { End = QueueEnd.Front }, Cancellation);

        foreach (var head in await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation))
        {
            Assert.True(await Store.CompleteAsync(head.Lease, null, Cancellation));
        }

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromHours(1));
        await AssertDrainsAsync("/2");
    }

    [Fact]
    public async Task What_is_not_in_the_queue_holds_nobody_back()
    {
        var elsewhere = (await Store.AddAsync(Entry("/0", queue: "other"), Cancellation)).Id;
        await Store.AddAsync(Entry("/1", "a") with { Prerequisite = elsewhere }, Cancellation);
        await Store.AddAsync(Entry("/2", "b") with { Prerequisite = 1_000_000 }, Cancellation);

        var due = await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation);
        Assert.Equal(2, due.Count);
    }

    [Fact]
    public async Task An_entry_does_not_wait_for_a_prerequisite_that_was_put_back_behind_it()
    {
        var first = (await Store.AddAsync(Entry("/1"), Cancellation)).Id;
        await Store.AddAsync(Entry("/2") with { Prerequisite = first }, Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);

        Assert.True(await Store.RequeueAsync(Queue, first, DateTimeOffset.MaxValue, Cancellation));

        await AssertDrainsAsync("/2", "/1");
    }

    [Fact]
    public async Task A_dead_letter_that_is_put_back_waits_for_a_prerequisite_before_it()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        var second = (await Store.AddAsync(Entry("/2", "b") with { Prerequisite = first }, Cancellation)).Id;
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.PrerequisiteFailed), Cancellation);
        Assert.Equal(first, (await ReadDeadAsync())[1].Entry!.Prerequisite);

        Assert.True(await Store.RequeueAsync(Queue, first, DateTimeOffset.MaxValue, Cancellation));
        Assert.True(await Store.RequeueAsync(Queue, second, DateTimeOffset.MaxValue, Cancellation));

        await AssertDrainsAsync("/1", "/2");
    }

    [Fact]
    public async Task An_entry_cannot_be_added_before_its_prerequisite()
    {
        var first = (await Store.AddAsync(Entry("/1"), Cancellation)).Id;

        await Assert.ThrowsAsync<PrerequisiteException>(async () => await Store.AddAsync(
            Entry("/2") with { Prerequisite = first, End = QueueEnd.Front }, Cancellation));

        Assert.Equal(new QueueCounts(1, 0, 0), await Store.CountAsync(Queue, Cancellation));
        await Store.AddAsync(Entry("/3") with { End = QueueEnd.Front }, Cancellation);
        await AssertDrainsAsync("/3", "/1");
    }

    [Fact]
    public async Task An_entry_cannot_wait_for_a_less_urgent_one_and_can_for_a_more_urgent_one()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;

        await Assert.ThrowsAsync<PrerequisiteException>(async () => await Store.AddAsync(
            Entry("/2", "b") with { Prerequisite = first, Priority = EntryPriority.High }, Cancellation));

        await Store.AddAsync(Entry("/3", "b") with { Prerequisite = first, Priority = EntryPriority.Low }, Cancellation);
        await AssertDrainsAsync("/1", "/3");
    }

    [Fact]
    public async Task An_entry_waits_again_for_a_more_urgent_one_that_is_put_back_before_it()
    {
        var first = (await Store.AddAsync(Entry("/1", "a") with { Priority = EntryPriority.High }, Cancellation)).Id;
        await Store.AddAsync(Entry("/2", "b") with { Prerequisite = first }, Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);

        await Store.RequeueAsync(Queue, first, DateTimeOffset.MaxValue, Cancellation);

        Assert.Equal(first, (await LeaseOneAsync()).Lease.EntryId);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
    }

    [Fact]
    public async Task A_replacement_may_wait_for_an_entry_before_it_for_another_or_for_none()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        var second = (await Store.AddAsync(Entry("/2", "b"), Cancellation)).Id;
        var third = (await Store.AddAsync(
            Entry("/3", "c") with { Delay = TimeSpan.FromHours(1), RequestedDelay = true }, Cancellation)).Id;

        await WaitForAsync(third, first);
        await WaitForAsync(second, first);
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(first, (await LeaseOneAsync()).Lease.EntryId);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));

        await WaitForAsync(third, second);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));

        await WaitForAsync(third, null);
        Assert.Equal(third, (await LeaseOneAsync()).Lease.EntryId);
        Assert.Null((await Store.FindAsync(Queue, second, Cancellation))!.DueAt);
    }

    [Fact]
    public async Task A_wait_asked_for_outlives_a_prerequisite_that_is_edited_away()
    {
        var first = (await Store.AddAsync(
            Entry("/1", "a") with { Delay = TimeSpan.FromDays(1), RequestedDelay = true }, Cancellation)).Id;
        var second = (await Store.AddAsync(
            Entry("/2", "b") with { Delay = TimeSpan.FromHours(1), RequestedDelay = true }, Cancellation)).Id;
        await WaitForAsync(second, first);

        await WaitForAsync(second, null);

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        Assert.Equal(Clock.GetUtcNow() + TimeSpan.FromHours(1), (await Store.FindAsync(Queue, second, Cancellation))!.DueAt);
    }

    [Fact]
    public async Task A_replacement_cannot_wait_for_itself_nor_for_what_stands_behind_it()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        var second = (await Store.AddAsync(Entry("/2", "b") with { Prerequisite = first }, Cancellation)).Id;

        await Assert.ThrowsAsync<PrerequisiteException>(() => WaitForAsync(first, second));
        await Assert.ThrowsAsync<PrerequisiteException>(() => WaitForAsync(first, first));

        Assert.Null((await Store.FindAsync(Queue, first, Cancellation))!.Prerequisite);
        await AssertDrainsAsync("/1", "/2");
    }

    [Fact]
    public async Task A_dependent_that_is_moved_to_another_lane_waits_there()
    {
        var first = (await Store.AddAsync(Entry("/1", "a"), Cancellation)).Id;
        var second = (await Store.AddAsync(Entry("/2", "b") with { Prerequisite = first }, Cancellation)).Id;
        await Store.AddAsync(Entry("/3", "c"), Cancellation);

        await MoveAsync(second, "c");

        var head = await LeaseOneAsync();
        Assert.Equal(first, head.Lease.EntryId);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        await Store.CompleteAsync(head.Lease, null, Cancellation);
        await AssertDrainsAsync("/2", "/3");
    }

    [Fact]
    public async Task A_delivery_of_which_no_receipt_is_kept_leaves_one_for_whoever_waits()
    {
        var first = (await Store.AddAsync(Entry("/1"), Cancellation)).Id;
        var second = (await Store.AddAsync(Entry("/2") with { Prerequisite = first }, Cancellation)).Id;

        await AssertDrainsAsync("/1");
        var receipt = (await Store.GetReceiptAsync(Queue, first, Cancellation))!;
        Assert.Equal((ReceiptState.Delivered, Clock.GetUtcNow(), null), (receipt.State, receipt.At, receipt.StatusCode));

        await AssertDrainsAsync("/2");
        Assert.Null(await Store.GetReceiptAsync(Queue, second, Cancellation));
    }

    [Fact]
    public async Task A_cleared_chain_leaves_nothing_behind()
    {
        long? last = null;
        for (var i = 0; i < 20; i++)
        {
            last = (await Store.AddAsync(Entry("/" + i, "lane " + (i % 3)) with { Prerequisite = last }, Cancellation)).Id;
        }

        Assert.Equal(20, await Store.ClearAsync(Queue, 100, Cancellation));

        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    private async Task WaitForAsync(long id, long? prerequisite)
    {
        var entry = (await Store.FindAsync(Queue, id, Cancellation))!;
        Assert.Equal(
            EntryChange.Done, await Store.ReplaceAsync(entry with { Prerequisite = prerequisite }, null, TimeSpan.Zero, Cancellation));
    }
}

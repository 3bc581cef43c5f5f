using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>How much a queue may hold, and what makes room.</summary>
public abstract partial class StoreContractTests
{
    [Fact]
    public async Task A_full_queue_refuses_the_next_entry_and_keeps_those_it_has()
    {
        var limits = new QueueLimits(2, null, WhenFull.RefuseNew);
        await Store.AddAsync(Entry("/1") with { Limits = limits }, Cancellation);
        await Store.AddAsync(Entry("/2") with { Limits = limits }, Cancellation);

        var refusal = await AssertRefusedAsync(Entry("/3") with { Limits = limits });

        Assert.Equal(
            "Queue 'orders' is full (MaxEntries is 2). Raise MaxEntries, or have WhenFull drop entries that wait.", refusal.Message);
        await AssertStandsAsync("/1", "/2");
        Assert.Equal(new QueueCounts(2, 0, 0), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_body_fits_that_fills_the_queue_to_the_byte()
    {
        var limits = new QueueLimits(null, 10, WhenFull.RefuseNew);
        await Store.AddAsync(Sized("/1", 6, limits), Cancellation);
        await Store.AddAsync(Sized("/2", 4, limits), Cancellation);

        var refusal = await AssertRefusedAsync(Sized("/3", 1, limits));

        Assert.Equal(
            "Queue 'orders' has no room for a body of 1 bytes (MaxBytes is 10). Raise MaxBytes, or have WhenFull drop entries that wait.",
            refusal.Message);
        await Store.AddAsync(Sized("/4", 0, limits), Cancellation);
        Assert.Equal(new QueueCounts(3, 0, 10), await Store.CountAsync(Queue, Cancellation));
    }

    [Theory]
    [InlineData(WhenFull.RefuseNew)]
    [InlineData(WhenFull.DropOldest)]
    [InlineData(WhenFull.DropFirstToExpire)]
    public async Task A_body_that_no_queue_of_its_size_can_hold_is_refused_and_nothing_dropped_for_it(WhenFull policy)
    {
        var limits = new QueueLimits(2, 10, policy);
        await Store.AddAsync(Sized("/1", 1, limits), Cancellation);
        await Store.AddAsync(Sized("/2", 1, limits), Cancellation);

        var refusal = await AssertRefusedAsync(Sized("/3", 11, limits));

        Assert.Equal(
            "The body of 11 bytes is larger than all that queue 'orders' may hold (MaxBytes is 10). Raise MaxBytes.", refusal.Message);
        await AssertStandsAsync("/1", "/2");
        Assert.Empty(await ReadDeadAsync());
    }

    [Fact]
    public async Task The_first_of_the_queue_makes_room()
    {
        var limits = new QueueLimits(3, null, WhenFull.DropOldest);
        await Store.AddAsync(Entry("/1", "a") with { Body = EntryBody.FromBytes("one"u8.ToArray()), Attempts = 2 }, Cancellation);
        await Store.AddAsync(Entry("/2", "a") with { Limits = limits }, Cancellation);
        await Store.AddAsync(Entry("/3", "b") with { Limits = limits, ExpiresAt = Clock.GetUtcNow() }, Cancellation);

        var added = await Store.AddAsync(Entry("/4", "b") with { Limits = limits }, Cancellation);

        var dropped = Assert.Single(added.Dropped);
        Assert.Equal(
            (DeadLetterCause.DroppedForSpace, "/1", 2, Clock.GetUtcNow()),
            (dropped.Cause, dropped.Entry!.Request.Uri.AbsolutePath, dropped.Entry.Attempts, dropped.DeadLetteredAt));
        Assert.Equal(dropped.Id, Assert.Single(await ReadDeadAsync()).Id);
        Assert.Equal("one"u8.ToArray(), await ReadBodyAsync(dropped.Id));
        Assert.Equal(new QueueCounts(3, 1, 0), await Store.CountAsync(Queue, Cancellation));
        Assert.NotEqual(dropped.Id, added.Id);
        await AssertStandsAsync("/2", "/3", "/4");
        Assert.Equal(["/2", "/3"], (await LeaseAllAsync()).Order());
    }

    [Fact]
    public async Task The_least_urgent_make_room_before_what_is_older()
    {
        await Store.AddAsync(Entry("/high") with { Priority = EntryPriority.High }, Cancellation);
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2"), Cancellation);
        await Store.AddAsync(Entry("/low") with { Priority = EntryPriority.Low }, Cancellation);

        Assert.Equal(["/low", "/1"], await DropForAsync(Entry("/3") with { Limits = new(3, null, WhenFull.DropOldest) }));
        await AssertStandsAsync("/high", "/2", "/3");
    }

    [Fact]
    public async Task The_first_to_expire_makes_room()
    {
        var now = Clock.GetUtcNow();
        var limits = new QueueLimits(4, null, WhenFull.DropFirstToExpire);
        await Store.AddAsync(Entry("/never"), Cancellation);
        await Store.AddAsync(Entry("/later") with { ExpiresAt = now.AddHours(2) }, Cancellation);
        await Store.AddAsync(Entry("/soon") with { ExpiresAt = now.AddHours(1) }, Cancellation);
        await Store.AddAsync(Entry("/as-soon") with { ExpiresAt = now.AddHours(1) }, Cancellation);

        Assert.Equal(["/soon"], await DropForAsync(Entry("/5") with { Limits = limits }));
        Assert.Equal(["/as-soon"], await DropForAsync(Entry("/6") with { Limits = limits }));
        Assert.Equal(["/later"], await DropForAsync(Entry("/7") with { Limits = limits }));
        Assert.Equal(["/never"], await DropForAsync(Entry("/8") with { Limits = limits }));
        await AssertStandsAsync("/5", "/6", "/7", "/8");
    }

    [Theory]
    [InlineData(WhenFull.DropOldest)]
    [InlineData(WhenFull.DropFirstToExpire)]
    public async Task No_entry_makes_room_for_the_one_that_waits_for_it(WhenFull policy)
    {
        var limits = new QueueLimits(2, null, policy);
        var (first, _) = await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2"), Cancellation);

        var added = await Store.AddAsync(Entry("/3") with { Limits = limits, Prerequisite = first }, Cancellation);

        Assert.Equal("/2", Assert.Single(added.Dropped).Entry!.Request.Uri.AbsolutePath);
        await AssertStandsAsync("/1", "/3");
        await AssertRefusedAsync(Entry("/4") with { Limits = limits with { MaxEntries = 1 }, Prerequisite = first });
        await AssertStandsAsync("/1", "/3");
    }

    [Fact]
    public async Task As_many_make_room_as_have_to_and_no_more()
    {
        var limits = new QueueLimits(null, 10, WhenFull.DropOldest);
        foreach (var path in (string[])["/1", "/2", "/3"])
        {
            await Store.AddAsync(Sized(path, 3, limits), Cancellation);
        }

        Assert.Equal(["/1", "/2"], await DropForAsync(Sized("/4", 6, limits)));

        await AssertStandsAsync("/3", "/4");
        Assert.Equal(new QueueCounts(2, 2, 9), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_queue_whose_limit_was_lowered_shrinks_to_it()
    {
        for (var i = 0; i < 5; i++)
        {
            await Store.AddAsync(Entry("/" + i), Cancellation);
        }

        Assert.Equal(["/0", "/1", "/2", "/3"], await DropForAsync(Entry("/new") with { Limits = new(2, null, WhenFull.DropOldest) }));
        await AssertStandsAsync("/4", "/new");
    }

    [Theory]
    [InlineData(WhenFull.DropOldest)]
    [InlineData(WhenFull.DropFirstToExpire)]
    public async Task What_is_being_sent_is_never_dropped(WhenFull policy)
    {
        var limits = new QueueLimits(2, null, policy);
        await Store.AddAsync(Entry("/1", "a") with { ExpiresAt = Clock.GetUtcNow() }, Cancellation);
        var sending = await LeaseOneAsync();
        await Store.AddAsync(Entry("/2", "a"), Cancellation);

        Assert.Equal(["/2"], await DropForAsync(Entry("/3", "b") with { Limits = limits }));

        await AssertStandsAsync("/1", "/3");
        Assert.True(await Store.CompleteAsync(sending.Lease, null, Cancellation));
    }

    [Theory]
    [InlineData(WhenFull.DropOldest)]
    [InlineData(WhenFull.DropFirstToExpire)]
    public async Task A_new_entry_is_refused_and_nothing_dropped_when_what_waits_does_not_make_enough_room(WhenFull policy)
    {
        await Store.AddAsync(Sized("/large", 8, limits: null), Cancellation);
        await LeaseOneAsync();
        await Store.AddAsync(Sized("/small", 2, limits: null) with { Lane = "b" }, Cancellation);

        var refusal = await AssertRefusedAsync(Sized("/3", 3, new(null, 10, policy)));

        Assert.Equal(
            "Queue 'orders' has no room for a body of 3 bytes (MaxBytes is 10). "
            + "What is being sent, or what it waits for, is not dropped for it; raise MaxBytes.",
            refusal.Message);
        await AssertStandsAsync("/large", "/small");
        Assert.Empty(await ReadDeadAsync());
    }

    [Fact]
    public async Task An_entry_whose_lease_ran_out_may_be_dropped_and_its_attempt_counts()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        var lost = await LeaseOneAsync();
        Clock.Advance(LeaseTime);

        var added = await Store.AddAsync(Entry("/2") with { Limits = new(1, null, WhenFull.DropOldest) }, Cancellation);

        Assert.Equal(1, Assert.Single(added.Dropped).Entry!.Attempts);
        Assert.False(await Store.CompleteAsync(lost.Lease, null, Cancellation));
        await AssertDrainsAsync("/2");
    }

    [Fact]
    public async Task Queues_are_full_apart()
    {
        var limits = new QueueLimits(1, 5, WhenFull.DropOldest);
        await Store.AddAsync(Sized("/1", 5, limits), Cancellation);

        Assert.Empty((await Store.AddAsync(Sized("/2", 5, limits) with { Queue = "other" }, Cancellation)).Dropped);

        Assert.Single(await ReadAllAsync());
        Assert.Single(await ReadAllAsync("other"));
    }

    [Fact]
    public async Task What_is_put_in_front_is_limited_as_well()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        var front = Entry("/0") with { End = QueueEnd.Front };

        await AssertRefusedAsync(front with { Limits = new(1, null, WhenFull.RefuseNew) });
        Assert.Equal(["/1"], await DropForAsync(front with { Limits = new(1, null, WhenFull.DropOldest) }));
    }

    [Fact]
    public async Task A_dead_letter_does_not_count_and_is_put_back_into_a_full_queue()
    {
        var limits = new QueueLimits(1, null, WhenFull.DropOldest);
        await Store.AddAsync(Entry("/1") with { Limits = limits }, Cancellation);
        var (_, dropped) = await Store.AddAsync(Entry("/2") with { Limits = limits }, Cancellation);

        Assert.True(await Store.RequeueAsync(Queue, dropped[0].Id, DateTimeOffset.MaxValue, Cancellation));

        await AssertDrainsAsync("/2", "/1");
    }

    [Fact]
    public async Task A_body_that_was_refused_stays_its_writers_own()
    {
        var limits = new QueueLimits(1, null, WhenFull.RefuseNew);
        await Store.AddAsync(Entry("/1"), Cancellation);
        await using var writer = await Store.BeginBodyAsync(Cancellation);
        await writer.WriteAsync("streamed"u8.ToArray(), Cancellation);
        var entry = Entry("/2") with { Body = EntryBody.FromWriter(writer), Limits = limits };
        await AssertRefusedAsync(entry);
        await AssertDrainsAsync("/1");

        var (id, _) = await Store.AddAsync(entry, Cancellation);

        Assert.Equal("streamed"u8.ToArray(), await ReadBodyAsync(id));
    }

    [Fact]
    public async Task Concurrent_callers_never_fill_a_queue_beyond_its_limit()
    {
        var limits = new QueueLimits(10, null, WhenFull.RefuseNew);

        var refused = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(() => IsRefusedAsync("/" + i), Cancellation)));

        Assert.Equal(30, refused.Count(isRefused => isRefused));
        Assert.Equal(10, (await Store.CountAsync(Queue, Cancellation)).Pending);

        async Task<bool> IsRefusedAsync(string path)
        {
            try
            {
                await Store.AddAsync(Entry(path) with { Limits = limits }, Cancellation);
                return false;
            }
            catch (QueueStoreException e) when (e.Fault == StoreFault.QueueFull)
            {
                return true;
            }
        }
    }

    [Fact]
    public async Task What_has_expired_is_removed_with_its_body_where_it_is_not_kept()
    {
        var expired = Clock.GetUtcNow();
        await Store.AddAsync(Sized("/1", 3, limits: null) with { ExpiresAt = expired, Attempts = 2, LastError = "HTTP 503" }, Cancellation);
        var streamed = await AddStreamedAsync(Entry("/2") with { ExpiresAt = expired }, new byte[10], 5);
        await Store.AddAsync(Entry("/3"), Cancellation);
        Clock.Advance(TimeSpan.FromMilliseconds(1));

        var removed = await Store.ExpireAsync(Queue, 10, keep: false, Cancellation);

        Assert.Equal(["/1", "/2"], removed.Select(letter => letter.Entry!.Request.Uri.AbsolutePath));
        Assert.All(removed, letter => Assert.Equal((DeadLetterCause.Expired, Clock.GetUtcNow()), (letter.Cause, letter.DeadLetteredAt)));
        Assert.Equal((2, "HTTP 503"), (removed[0].Entry!.Attempts, removed[0].Entry!.LastError));
        Assert.Empty(await ReadDeadAsync());
        Assert.Null(await ReadBodyAsync(streamed));
        Assert.Equal(new QueueCounts(1, 0, 0), await Store.CountAsync(Queue, Cancellation));
        await AssertDrainsAsync("/3");
    }

    [Fact]
    public async Task A_leased_entry_is_removed_where_its_dead_letter_is_not_kept()
    {
        var id = await AddStreamedAsync(Entry("/1"), new byte[10], 5);
        await Store.AddAsync(Entry("/2"), Cancellation);
        var deadLettered = new Settlement.DeadLettered(DeadLetterCause.Expired, IsKept: false);

        var lease = (await LeaseOneAsync()).Lease;
        Assert.True(await Store.SettleAsync(lease, deadLettered, Cancellation));
        Assert.False(await Store.SettleAsync(lease, deadLettered, Cancellation));

        Assert.Empty(await ReadDeadAsync());
        Assert.Null(await ReadBodyAsync(id));
        Assert.Equal(new QueueCounts(1, 0, 0), await Store.CountAsync(Queue, Cancellation));
        await AssertDrainsAsync("/2");
    }

    [Fact]
    public async Task Dead_letters_are_trimmed_that_died_before_a_time_and_not_at_it()
    {
        var ids = await DeadLetterAsync(3, TimeSpan.FromMinutes(1));
        var secondDied = (await ReadDeadAsync())[1].DeadLetteredAt;

        Assert.Equal([ids[0]], await Store.TrimDeadLettersAsync(Queue, secondDied, keep: null, 10, Cancellation));

        Assert.Equal(ids[1..], (await ReadDeadAsync()).Select(letter => letter.Id));
        Assert.Equal(new QueueCounts(0, 2, 0), await Store.CountAsync(Queue, Cancellation));
        Assert.Empty(await Store.TrimDeadLettersAsync("other", DateTimeOffset.MaxValue, keep: 0, 10, Cancellation));
    }

    [Fact]
    public async Task Dead_letters_are_trimmed_that_are_too_many_the_first_to_die_first()
    {
        var ids = await DeadLetterAsync(4, TimeSpan.Zero);

        Assert.Empty(await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, keep: 4, 10, Cancellation));
        Assert.Equal([ids[0]], await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, keep: 2, 1, Cancellation));
        Assert.Equal([ids[1]], await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, keep: 2, 10, Cancellation));

        Assert.Equal(ids[2..], (await ReadDeadAsync()).Select(letter => letter.Id));
        Assert.Equal(ids[2..], await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, keep: 0, 10, Cancellation));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task An_entry_that_became_a_dead_letter_again_is_trimmed_by_the_last_time()
    {
        var ids = await DeadLetterAsync(2, TimeSpan.FromMinutes(1));
        await Store.RequeueAsync(Queue, ids[0], DateTimeOffset.MaxValue, Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);

        Assert.Equal([ids[1]], await Store.TrimDeadLettersAsync(Queue, Clock.GetUtcNow(), keep: null, 10, Cancellation));

        Assert.Equal(ids[0], Assert.Single(await ReadDeadAsync()).Id);
    }

    [Fact]
    public async Task What_is_trimmed_is_gone_with_its_body()
    {
        var id = await AddStreamedAsync(Entry(), new byte[10], 5);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);

        await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MaxValue, keep: null, 10, Cancellation);

        Assert.Null(await ReadBodyAsync(id));
        Assert.False(await Store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation));
    }

    private async Task<long[]> DeadLetterAsync(int count, TimeSpan apart)
    {
        var ids = new long[count];
        for (var i = 0; i < count; i++)
        {
            ids[i] = await AddAsync(Entry("/" + i));
            await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
            Clock.Advance(apart);
        }

        return ids;
    }

    private NewEntry Sized(string path, int bytes, QueueLimits? limits) =>
        Entry(path) with { Body = EntryBody.FromBytes(new byte[bytes]), Limits = limits };

    private async Task<QueueStoreException> AssertRefusedAsync(NewEntry entry)
    {
        var refusal = await Assert.ThrowsAsync<QueueStoreException>(async () => await Store.AddAsync(entry, Cancellation));
        Assert.Equal(StoreFault.QueueFull, refusal.Fault);
        return refusal;
    }

    private async Task<IEnumerable<string>> DropForAsync(NewEntry entry) =>
        (await Store.AddAsync(entry, Cancellation)).Dropped.Select(letter => letter.Entry!.Request.Uri.AbsolutePath);

    private async Task AssertStandsAsync(params string[] paths) =>
        Assert.Equal(paths, (await ReadAllAsync()).Select(entry => entry.Request.Uri.AbsolutePath));

    private async Task<IEnumerable<string>> LeaseAllAsync() =>
        (await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation)).Select(leased => leased.Entry!.Request.Uri.AbsolutePath);
}

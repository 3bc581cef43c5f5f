using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using TestKit;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

/// <summary>A process that dies leaves requests that it was sending for the first time, and bodies that it was writing.</summary>
public sealed class PostgreSqlWriteAheadTests(ClassDatabase shared) : PostgreSqlStoreFixture(shared)
{
    private static readonly TimeSpan _timeout = new PostgreSqlStoreOptions().OwnerTimeout;

    private readonly TestClock _clock = new();

    // The timers of a process that is dead or frozen: it moves no more.
    private readonly TestClock _stopped = new();

    [Fact]
    public async Task What_a_dead_process_held_is_taken_over_when_its_time_is_up_and_no_sooner()
    {
        using var _ = Database.Follow(_clock);
        var (survivor, victim) = (Open(_clock), Open(_stopped));
        await victim.BeginWriteAheadAsync(Entry("/held") with { Body = EntryBody.FromBytes("hello"u8.ToArray()) }, true, Cancellation);
        await survivor.AddAsync(Entry("/after"), Cancellation);

        _clock.Advance(_timeout - TimeSpan.FromMilliseconds(1));
        Assert.Equal(ReclaimedWork.None, await survivor.ReclaimAsync(Cancellation));
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        var work = await survivor.ReclaimAsync(Cancellation);

        var entry = Assert.Single(work.Entries);
        Assert.Empty(work.DeadLetters);
        Assert.Equal(("/held", 1, ReclaimedWork.Interrupted), (entry.Request.Uri.AbsolutePath, entry.Attempts, entry.LastError));
        Assert.Equal(new QueueCounts(2, 0, 5), await survivor.CountAsync(Queue, Cancellation));
        Assert.Equal(["/held", "/after"], await ReadPathsAsync(survivor));
        Assert.Equal(ReclaimedWork.Interrupted, Assert.Single(await survivor.GetHistoryAsync(Queue, entry.Id, Cancellation)).Error);
        Assert.Equal(ReclaimedWork.None, await survivor.ReclaimAsync(Cancellation));
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_is_released_among_entries_that_are_leased_together_is_not_one_of_them()
    {
        var store = Open(_clock);
        await store.AddAsync(Entry("/1"), Cancellation);
        await store.AddAsync(Entry("/2"), Cancellation);
        var held = await store.BeginWriteAheadAsync(Entry("/held"), true, Cancellation);
        await store.AddAsync(Entry("/3"), Cancellation);
        await store.AddAsync(Entry("/4"), Cancellation);
        var run = (await GoOnAsync(store, await LeaseOneAsync(store), limit: 2)).Next;

        var id = (await store.CommitWriteAheadAsync(held, new(TimeSpan.Zero), Cancellation))!.Id;

        var entry = (await store.FindAsync(Queue, id, Cancellation))!;
        Assert.Equal((false, null), (entry.IsLeased, entry.DueAt));
        Assert.Equal(
            EntryChange.Done, await store.ReplaceAsync(entry with { LastError = "edited" }, null, TimeSpan.Zero, Cancellation));
        Assert.True(await store.SettleAsync([Delivered(run[0])], run[1].Lease, Cancellation));
        Assert.Equal(["/held", "/4"], (await GoOnAsync(store, run[1])).Next.Select(static leased => leased.Entry!.Request.Uri.AbsolutePath));
    }

    [Fact]
    public async Task A_process_that_woke_up_too_late_holds_nothing_any_more()
    {
        using var _ = Database.Follow(_clock);
        var (survivor, victim) = (Open(_clock), Open(_stopped));
        var released = await victim.BeginWriteAheadAsync(Entry("/1"), true, Cancellation);
        var dropped = await victim.BeginWriteAheadAsync(Entry("/2"), true, Cancellation);
        await using var body = await victim.BeginBodyAsync(Cancellation);
        _clock.Advance(_timeout);
        await survivor.ReclaimAsync(Cancellation);

        Assert.Null(await victim.CommitWriteAheadAsync(released, new(TimeSpan.Zero), Cancellation));
        Assert.False(await victim.DiscardWriteAheadAsync(dropped, Cancellation));
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await body.WriteAsync(new byte[1], Cancellation));
        Assert.Equal(["/1", "/2"], await ReadPathsAsync(survivor));
        Assert.Equal(0, await Database.ScalarAsync("SELECT count(*) FROM bgsync.owner"));
    }

    [Fact]
    public async Task A_process_that_lives_keeps_what_it_holds_however_long()
    {
        using var _ = Database.Follow(_clock);
        var (survivor, holder) = (Open(_clock), Open(_clock));
        var held = await holder.BeginWriteAheadAsync(Entry(), true, Cancellation);

        for (var i = 0; i < 9; i++)
        {
            var seenUntil = await Database.ScalarAsync("SELECT seen_until FROM bgsync.owner");
            _clock.Advance(_timeout / 3);
            await Eventually.TrueAsync(
                () => Database.ScalarAsync("SELECT seen_until FROM bgsync.owner").GetAwaiter().GetResult() > seenUntil,
                "the holder is seen");
        }

        Assert.Equal(ReclaimedWork.None, await survivor.ReclaimAsync(Cancellation));
        Assert.True(await holder.DiscardWriteAheadAsync(held, Cancellation));
        _clock.Advance(_timeout / 3);
        await Eventually.TrueAsync(
            () => Database.ScalarAsync("SELECT count(*) FROM bgsync.owner").GetAwaiter().GetResult() == 0, "who holds nothing is forgotten");
        await Eventually.TrueAsync(() => _clock.PendingTimers == 0, "nothing is renewed any more");
    }

    [Fact]
    public async Task Who_says_goodbye_is_not_waited_for()
    {
        var survivor = Open();
        await using (var victim = Open())
        {
            await victim.BeginWriteAheadAsync(Entry("/repeatable"), true, Cancellation);
            await victim.BeginWriteAheadAsync(Entry("/once"), false, Cancellation);
            var body = await victim.BeginBodyAsync(Cancellation);
            await body.WriteAsync(new byte[300_000], Cancellation);
        }

        var work = await survivor.ReclaimAsync(Cancellation);

        Assert.Equal("/repeatable", Assert.Single(work.Entries).Request.Uri.AbsolutePath);
        var letter = Assert.Single(work.DeadLetters);
        Assert.Equal((DeadLetterCause.MaybeProcessed, ReclaimedWork.Interrupted), (letter.Cause, letter.Error));
        Assert.Equal(("/once", 1), (letter.Entry!.Request.Uri.AbsolutePath, letter.Entry.Attempts));
        Assert.Single(letter.History);
        Assert.Equal(new QueueCounts(1, 1, 0), await survivor.CountAsync(Queue, Cancellation));
        Assert.Equal(0, await Database.ScalarAsync("SELECT count(*) FROM bgsync.body_chunk"));
        Assert.True(await survivor.RequeueAsync(Queue, letter.Id, DateTimeOffset.MaxValue, Cancellation));
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_a_store_has_leased_is_due_again_when_the_lease_is_over_and_not_because_it_is_silent()
    {
        using var _ = Database.Follow(_clock);
        var (survivor, victim) = (Open(_clock), Open(_stopped));
        await survivor.AddAsync(Entry(), Cancellation);
        var lost = Assert.Single(await victim.LeaseAsync(Queue, Origin, 1, 2 * _timeout, Cancellation)).Lease;

        _clock.Advance((2 * _timeout) - TimeSpan.FromMilliseconds(1));
        await survivor.ReclaimAsync(Cancellation);
        Assert.Empty(await survivor.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        _clock.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Equal(1, (await LeaseOneAsync(survivor)).Entry!.Attempts);
        Assert.False(await victim.CompleteAsync(lost, null, Cancellation));
    }

    [Fact]
    public async Task A_held_request_is_of_no_use_to_another_store()
    {
        var holder = Open();
        var held = await holder.BeginWriteAheadAsync(Entry(), true, Cancellation);

        Assert.Null(await Open().CommitWriteAheadAsync(held, new(TimeSpan.Zero), Cancellation));
        Assert.False(await Open().DiscardWriteAheadAsync(held, Cancellation));
        Assert.True(await holder.DiscardWriteAheadAsync(held, Cancellation));
    }
}

using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>What becomes of the requests that a process was sending for the first time when it died.</summary>
public sealed class SqliteHeldTests : SqliteStoreFixture
{
    [Fact]
    public async Task What_a_dead_owner_held_enters_its_queue_at_its_place_and_the_attempt_counts()
    {
        var survivor = Open();
        var victim = Open();
        await HoldAsync(survivor, Entry("/survivors"));
        await HoldAsync(victim, Entry("/held") with { Body = EntryBody.FromBytes("hello"u8.ToArray()) });
        await survivor.AddAsync(Entry("/after"), Cancellation);
        Assert.Equal(ReclaimedWork.None, await survivor.ReclaimAsync(Cancellation));

        await victim.DisposeAsync();
        var work = await survivor.ReclaimAsync(Cancellation);

        var entry = Assert.Single(work.Entries);
        Assert.Empty(work.DeadLetters);
        Assert.Equal(("/held", 1, ReclaimedWork.Interrupted), (entry.Request.Uri.AbsolutePath, entry.Attempts, entry.LastError));
        Assert.Equal(new QueueCounts(2, 0, 5), await survivor.CountAsync(Queue, Cancellation));
        Assert.Equal(["/held", "/after"], await ReadPathsAsync(survivor));
        Assert.Equal(1, (await LeaseOneAsync(survivor)).Entry!.Attempts);
        Assert.Equal(1, Scalar("SELECT count(*) FROM held"));
        Assert.Equal(ReclaimedWork.None, await survivor.ReclaimAsync(Cancellation));
    }

    [Fact]
    public async Task At_the_next_start_it_is_there_at_once_and_told_once()
    {
        await using (var victim = Open())
        {
            await using var body = await victim.BeginBodyAsync(Cancellation);
            await body.WriteAsync(new byte[300_000], Cancellation);
            await HoldAsync(victim, Entry("/held") with { Body = EntryBody.FromWriter(body) });
        }

        var store = Open();

        Assert.Equal(new QueueCounts(1, 0, 300_000), await store.CountAsync(Queue, Cancellation));
        var entry = Assert.Single((await store.ReclaimAsync(Cancellation)).Entries);
        Assert.Equal(ReclaimedWork.None, await store.ReclaimAsync(Cancellation));
        await using var read = await store.OpenBodyAsync(Queue, entry.Id, Cancellation);
        using var copy = new MemoryStream();
        await read!.CopyToAsync(copy, Cancellation);
        Assert.Equal(new byte[300_000], copy.ToArray());
    }

    [Fact]
    public async Task What_must_not_be_sent_twice_becomes_a_dead_letter()
    {
        await using (var victim = Open())
        {
            await HoldAsync(victim, Entry("/once"), isRepeatable: false);
            await victim.AddAsync(Entry("/waits") with { Delay = TimeSpan.FromMinutes(1) }, Cancellation);
        }

        var store = Open();

        var letter = Assert.Single((await store.ReclaimAsync(Cancellation)).DeadLetters);
        Assert.Equal((DeadLetterReason.MaybeProcessed, ReclaimedWork.Interrupted), (letter.Reason, letter.Error));
        Assert.Equal(("/once", 1), (letter.Entry!.Request.Uri.AbsolutePath, letter.Entry.Attempts));
        Assert.Equal(new QueueCounts(1, 1, 0), await store.CountAsync(Queue, Cancellation));
        Assert.Empty(await store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.True(await store.RequeueAsync(Queue, letter.Id, DateTimeOffset.MaxValue, Cancellation));
    }

    [Fact]
    public async Task A_wait_that_its_caller_asked_for_is_kept()
    {
        await using (var victim = Open())
        {
            await HoldAsync(victim, Entry() with { Delay = TimeSpan.FromMinutes(1), OnlyTimeEndsDelay = true });
        }

        var store = Open();

        await store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation);
        Assert.Empty(await store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(1));
        await LeaseOneAsync(store);
    }

    [Fact]
    public async Task A_held_request_is_of_no_use_to_another_store()
    {
        var holder = Open();
        var held = await HoldAsync(holder, Entry());

        Assert.Null(await Open().ReleaseAsync(held, new(TimeSpan.Zero), Cancellation));
        Assert.False(await Open().DropAsync(held, Cancellation));
        Assert.True(await holder.DropAsync(held, Cancellation));
    }

    [Fact]
    public async Task A_request_that_is_dropped_takes_its_body_along()
    {
        var store = Open();
        await using var body = await store.BeginBodyAsync(Cancellation);
        await body.WriteAsync(new byte[300_000], Cancellation);
        var held = await HoldAsync(store, Entry() with { Body = EntryBody.FromWriter(body) });

        await store.DropAsync(held, Cancellation);

        Assert.Equal(0, Scalar("SELECT (SELECT count(*) FROM body) + (SELECT count(*) FROM body_chunk)"));
    }

    [Fact]
    public async Task A_flipped_byte_of_a_held_request_is_damage_and_the_queue_goes_on()
    {
        await using (var victim = Open())
        {
            await HoldAsync(victim, Entry("/flipped"));
            await HoldAsync(victim, Entry("/whole"));
        }

        Flip(DatabasePath, "/flipped"u8, offset: 3);
        var store = Open();

        Assert.Equal("/whole", Assert.Single((await store.ReclaimAsync(Cancellation)).Entries).Request.Uri.AbsolutePath);
        var damaged = await LeaseOneAsync(store);
        Assert.False(damaged.IsReadable);
        await store.BuryAsync(damaged.Lease, new DeathCertificate(DeadLetterReason.Unreadable, damaged.Damage), Cancellation);
        Assert.Equal("/whole", (await LeaseOneAsync(store)).Entry!.Request.Uri.AbsolutePath);
    }

    private static async Task<long> HoldAsync(SqliteQueueStore store, NewEntry entry, bool isRepeatable = true) =>
        await store.HoldAsync(entry, isRepeatable, Cancellation);
}

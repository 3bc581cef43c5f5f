using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>Entries become one: the last of a key is found, and written anew unless it has been leased or has ended.</summary>
public abstract partial class StoreContractTests
{
    [Fact]
    public async Task The_last_entry_of_a_key_is_found_in_its_own_queue()
    {
        await AddAsync(Entry("/1", "a") with { CoalesceKey = "x" });
        var last = await AddAsync(Entry("/2", "b") with { CoalesceKey = "x" });
        await AddAsync(Entry("/0") with { CoalesceKey = "x", End = QueueEnd.Front });
        await AddAsync(Entry("/3") with { CoalesceKey = "X" });
        await AddAsync(Entry("/4"));
        await AddAsync(Entry("/5", queue: "other") with { CoalesceKey = "x" });

        var found = (await FindLastAsync("x"))!;

        Assert.Equal((last, "/2", "x"), (found.Id, found.Request.Uri.AbsolutePath, found.CoalesceKey));
        Assert.Equal((await Store.FindAsync(Queue, last, Cancellation))!.Revision, found.Revision);
        Assert.Null(await FindLastAsync("y"));
        Assert.Null(await FindLastAsync(""));
    }

    [Fact]
    public async Task The_last_entry_of_a_key_is_found_while_it_is_leased_and_says_so()
    {
        await AddAsync(Entry("/1") with { CoalesceKey = "x" });
        var lease = (await LeaseOneAsync()).Lease;

        Assert.True((await FindLastAsync("x"))!.IsLeased);

        await Store.CompleteAsync(lease, null, Cancellation);
        Assert.Null(await FindLastAsync("x"));
    }

    [Fact]
    public async Task A_lease_whose_time_is_up_is_read_as_an_attempt()
    {
        var id = await AddAsync(Entry("/1") with { CoalesceKey = "x" });
        await LeaseOneAsync();
        Assert.Equal(0, (await FindLastAsync("x"))!.Attempts);

        Clock.Advance(LeaseTime);

        var found = (await FindLastAsync("x"))!;
        Assert.Equal((1, false), (found.Attempts, found.IsLeased));
        Assert.Equal(found.Revision, Assert.Single(await ReadAllAsync()).Revision);
        Assert.Equal(EntryChange.Done, await Store.RemoveAsync(Queue, id, found.Revision, Cancellation));
    }

    [Fact]
    public async Task A_dead_letter_is_not_found_by_its_key_nor_when_it_is_put_back()
    {
        var id = await AddAsync(Entry("/1") with { CoalesceKey = "x" });
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Exhausted), Cancellation);
        Assert.Null(await FindLastAsync("x"));

        await Store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation);

        Assert.Null(await FindLastAsync("x"));
        Assert.Null((await Store.FindAsync(Queue, id, Cancellation))!.CoalesceKey);
        await AssertDrainsAsync("/1");
    }

    [Theory]
    [InlineData("")]
    [InlineData("elsewhere")]
    public async Task All_of_an_entry_can_be_written_anew_but_its_id_and_its_place(string lane)
    {
        await AddAsync(Entry("/1"));
        var id = await AddAsync(Entry("/old") with { CoalesceKey = "x", Attempts = 7, LastError = "HTTP 500" });
        await AddAsync(Entry("/3"));
        var written = (await FindLastAsync("x"))! with
        {
            Lane = lane,
            Request = new RequestSnapshot { Method = HttpMethod.Put, Uri = new Uri(Origin + "/new") },
            Timestamp = Clock.GetUtcNow() + TimeSpan.FromHours(1),
            ExpiresAt = Clock.GetUtcNow() + TimeSpan.FromHours(2),
            Metadata = new Dictionary<string, string> { ["kind"] = "photo" },
            TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            CoalesceKey = "y",
            Attempts = 1,
            LastError = "offline",
        };

        Assert.Equal(EntryChange.Done, await Store.ReplaceAsync(written, EntryBody.FromBytes(new byte[5]), TimeSpan.Zero, Cancellation));

        var entries = await ReadAllAsync();
        Assert.Equal(["/1", "/new", "/3"], entries.Select(entry => entry.Request.Uri.AbsolutePath));
        var entry = entries[1];
        Assert.Equal(
            (id, lane, written.Timestamp, written.ExpiresAt, written.TraceParent, 5),
            (entry.Id, entry.Lane, entry.Timestamp, entry.ExpiresAt, entry.TraceParent, entry.BodyLength));
        Assert.Equal(("photo", "y", 1, "offline"), (entry.Metadata["kind"], entry.CoalesceKey, entry.Attempts, entry.LastError));
        Assert.Null(await FindLastAsync("x"));
        Assert.Equal(entry.Revision, (await FindLastAsync("y"))!.Revision);
        await Store.CompleteAsync((await LeaseLaneAsync("")).Lease, null, Cancellation);
        Assert.Equal((id, 1, "offline"), await LeaseLaneAsync(lane) is var leased
            ? (leased.Lease.EntryId, leased.Entry!.Attempts, leased.Entry.LastError) : default);
    }

    [Fact]
    public async Task A_head_written_anew_has_the_attempts_that_it_was_given()
    {
        await AddAsync(Entry("/1") with { CoalesceKey = "x" });
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromMinutes(1), true, "HTTP 503"), Cancellation);
        await Store.SettleAsync(
            (await LeaseLaneAsync("")).Lease, new Settlement.Retry(TimeSpan.FromMinutes(1), true, "HTTP 503"), Cancellation);
        var found = (await FindLastAsync("x"))!;
        Assert.Equal((2, "HTTP 503"), (found.Attempts, found.LastError));

        await Store.ReplaceAsync(found with { Attempts = 1, LastError = null }, null, TimeSpan.Zero, Cancellation);

        // Its backoff goes on.
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(1));
        var leased = (await LeaseOneAsync()).Entry!;
        Assert.Equal((1, null), (leased.Attempts, leased.LastError));
    }

    [Fact]
    public async Task An_attempt_makes_an_older_reading_outdated()
    {
        var id = await AddAsync(Entry("/1") with { CoalesceKey = "x" });
        var read = (await FindLastAsync("x"))!;
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.Zero, true), Cancellation);

        Assert.Equal(EntryChange.Outdated, await Store.ReplaceAsync(read, null, TimeSpan.Zero, Cancellation));
        Assert.Equal(EntryChange.Outdated, await Store.RemoveAsync(Queue, id, read.Revision, Cancellation));

        // One that reached nobody changes nothing.
        read = (await FindLastAsync("x"))!;
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.Zero, false), Cancellation);
        Assert.Equal(EntryChange.Done, await Store.RemoveAsync(Queue, id, read.Revision, Cancellation));
    }

    [Theory]
    [InlineData(true, "")]
    [InlineData(true, "elsewhere")]
    [InlineData(false, "")]
    [InlineData(false, "elsewhere")]
    public async Task A_delay_holds_an_entry_that_is_written_anew(bool isHead, string lane)
    {
        if (!isHead)
        {
            await AddAsync(Entry("/0"));
        }

        await AddAsync(Entry("/1") with { CoalesceKey = "x", Delay = TimeSpan.FromSeconds(10) });

        await Store.ReplaceAsync((await FindLastAsync("x"))! with { Lane = lane }, null, TimeSpan.FromHours(1), Cancellation);

        if (!isHead)
        {
            await AssertDrainsAsync("/0");
        }

        Clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(1));
        await AssertDrainsAsync("/1");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_delay_does_not_cut_a_longer_wait_short(bool isHead)
    {
        if (!isHead)
        {
            await AddAsync(Entry("/0"));
        }

        await AddAsync(
            Entry("/1") with { CoalesceKey = "x", Delay = TimeSpan.FromHours(1), RequestedDelay = true });

        await Store.ReplaceAsync((await FindLastAsync("x"))!, null, TimeSpan.FromMinutes(1), Cancellation);

        if (!isHead)
        {
            await AssertDrainsAsync("/0");
        }

        Clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(1));
        await AssertDrainsAsync("/1");
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task A_delay_takes_the_place_of_a_backoff_and_is_not_cleared_with_it(bool isEndless, bool isMoved)
    {
        await AddAsync(Entry("/1") with { CoalesceKey = "x", Delay = isEndless ? TimeSpan.MaxValue : TimeSpan.FromHours(2) });

        await Store.ReplaceAsync(
            (await FindLastAsync("x"))! with { Lane = isMoved ? "elsewhere" : "" }, null, TimeSpan.FromHours(1), Cancellation);

        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(1));
        await AssertDrainsAsync("/1");
    }

    private ValueTask<QueuedEntry?> FindLastAsync(string key) => Store.FindLastAsync(Queue, key, Cancellation);

    private async Task<LeasedEntry> LeaseLaneAsync(string lane) =>
        (await Store.LeaseLaneAsync(Queue, lane, LeaseTime, Cancellation))!;
}

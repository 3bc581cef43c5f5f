using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>
/// The promises of every store that outlives its process. Whatever <see cref="StoreContractTests.OpenStore"/> opens stands on the same
/// storage.
/// </summary>
public abstract partial class DurableStoreContractTests : StoreContractTests
{
    /// <summary>How long after its end a store is known to be dead, when another one asks. Default: at once.</summary>
    protected virtual TimeSpan OwnerTimeout => TimeSpan.Zero;

    /// <summary>How many bodies, and chunks of them, stand in the storage apart from their entries, be they of use or not.</summary>
    protected abstract Task<long> CountBodiesAsync();

    /// <summary>Closes the store, and opens it again when all know that it was closed.</summary>
    protected async Task ReopenAsync()
    {
        await Store.DisposeAsync();
        Clock.Advance(OwnerTimeout);
        Store = OpenStore();
    }

    [Fact]
    public async Task All_that_it_holds_is_there_after_it_was_opened_again()
    {
        var ids = await FillAsync();
        var before = await DescribeAsync(ids);
        Assert.Equal(7, (await Store.CountAsync(Queue, Cancellation)).Pending);

        await ReopenAsync();

        Assert.Equal(before, await DescribeAsync(ids));
        await AssertDrainsAsync("/urgent");
        Assert.Equal(1, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
        Assert.Equal("/failed", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal("/asked", (await Store.LeaseLaneAsync(Queue, "asked", LeaseTime, Cancellation))!.Entry!.Request.Uri.AbsolutePath);
    }

    [Fact]
    public async Task The_ends_of_a_queue_are_where_they_were_after_it_was_opened_again()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/0") with { End = QueueEnd.Front }, Cancellation);
        await Store.AddAsync(Entry("/high") with { Priority = EntryPriority.High }, Cancellation);
        await ReopenAsync();
        await Store.AddAsync(Entry("/2"), Cancellation);
        await Store.AddAsync(Entry("/-1") with { End = QueueEnd.Front }, Cancellation);
        await Store.AddAsync(Entry("/higher") with { Priority = EntryPriority.High, End = QueueEnd.Front }, Cancellation);

        string[] expected = ["/higher", "/high", "/-1", "/0", "/1", "/2"];
        Assert.Equal(expected, (await ReadAllAsync()).Select(entry => entry.Request.Uri.AbsolutePath));
        await AssertDrainsAsync(expected);
    }

    [Fact]
    public async Task No_id_is_given_twice_although_all_was_gone_when_it_was_opened_again()
    {
        var given = new HashSet<long>();
        var held = new HashSet<long>();
        for (var i = 0; i < 3; i++)
        {
            var id = await AddAsync(Entry());
            Assert.True(given.Add(id));
            await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
            await Store.DeleteDeadLetterAsync(Queue, id, Cancellation);
            await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, 10, Cancellation);
            var writeAheadId = await BeginWriteAheadAsync(Entry());
            Assert.True(held.Add(writeAheadId));
            await Store.DiscardWriteAheadAsync(writeAheadId, Cancellation);

            await ReopenAsync();
        }
    }

    [Fact]
    public async Task A_lease_of_a_store_that_is_no_more_is_void_when_its_time_is_up()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2"), Cancellation);
        var lost = (await LeaseOneAsync()).Lease;

        await ReopenAsync();
        Clock.Advance(LeaseTime);
        await Store.ReclaimAsync(Cancellation);

        Assert.False(await Store.CompleteAsync(lost, null, Cancellation));
        var again = await LeaseOneAsync();
        Assert.Equal(("/1", 1), (again.Entry!.Request.Uri.AbsolutePath, again.Entry.Attempts));
        Assert.True(await Store.CompleteAsync(again.Lease, null, Cancellation));
        await AssertDrainsAsync("/2");
    }

    [Fact]
    public async Task What_a_store_held_that_is_no_more_enters_its_queue_at_its_place_and_the_attempt_counts()
    {
        await BeginWriteAheadAsync(Entry("/held") with { Body = EntryBody.FromBytes("hello"u8.ToArray()) });
        await Store.AddAsync(Entry("/after"), Cancellation);

        await ReopenAsync();
        var work = await Store.ReclaimAsync(Cancellation);

        var entry = Assert.Single(work.Entries);
        Assert.Empty(work.DeadLetters);
        Assert.Equal(("/held", 1, ReclaimedWork.Interrupted), (entry.Request.Uri.AbsolutePath, entry.Attempts, entry.LastError));
        Assert.Equal(ReclaimedWork.Interrupted, Assert.Single(await Store.GetHistoryAsync(Queue, entry.Id, Cancellation)).Error);
        Assert.Equal("hello"u8.ToArray(), await ReadBodyAsync(entry.Id));
        Assert.Equal(new QueueCounts(2, 0, 5), await Store.CountAsync(Queue, Cancellation));
        Assert.Equal(ReclaimedWork.None, await Store.ReclaimAsync(Cancellation));
        await AssertDrainsAsync("/held", "/after");
    }

    [Fact]
    public async Task What_must_not_be_sent_twice_becomes_a_dead_letter_when_its_store_is_no_more()
    {
        await BeginWriteAheadAsync(Entry("/once"), isRepeatable: false);
        await Store.AddAsync(Entry("/waits") with { Delay = TimeSpan.FromDays(1) }, Cancellation);

        await ReopenAsync();

        var letter = Assert.Single((await Store.ReclaimAsync(Cancellation)).DeadLetters);
        Assert.Equal((DeadLetterCause.MaybeProcessed, ReclaimedWork.Interrupted), (letter.Cause, letter.Error));
        Assert.Equal(("/once", 1), (letter.Entry!.Request.Uri.AbsolutePath, letter.Entry.Attempts));
        Assert.Equal(ReceiptState.DeadLettered, (await Store.GetReceiptAsync(Queue, letter.Id, Cancellation))!.State);
        Assert.Equal(new QueueCounts(1, 1, 0), await Store.CountAsync(Queue, Cancellation));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.True(await Store.RequeueAsync(Queue, letter.Id, DateTimeOffset.MaxValue, Cancellation));
    }

    [Fact]
    public async Task A_wait_that_was_asked_for_outlives_the_store_that_held_the_request()
    {
        var wait = OwnerTimeout + TimeSpan.FromMinutes(1);
        await BeginWriteAheadAsync(Entry() with { Delay = wait, RequestedDelay = true });

        await ReopenAsync();
        Assert.Single((await Store.ReclaimAsync(Cancellation)).Entries);

        await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(wait);
        await LeaseOneAsync();
    }

    [Fact]
    public async Task What_was_under_way_when_the_store_was_closed_was_either_refused_or_is_there()
    {
        await Store.AddAsync(Entry("/0"), Cancellation);
        var adds = Enumerable.Range(1, 50).Select(i => Store.AddAsync(Entry("/" + i), Cancellation).AsTask()).ToList();

        await ReopenAsync();

        var added = new List<string> { "/0" };
        for (var i = 1; i <= adds.Count; i++)
        {
            if (await Record.ExceptionAsync(() => adds[i - 1]) is not { } refusal)
            {
                added.Add("/" + i);
            }
            else
            {
                Assert.IsType<ObjectDisposedException>(refusal);
            }
        }

        Assert.Equal(added, (await ReadAllAsync()).Select(entry => entry.Request.Uri.AbsolutePath).Order(StringComparer.Ordinal)
            .OrderBy(static path => path.Length));
    }

    /// <summary>One of all that a store can hold but leases.</summary>
    /// <returns>The ids that were given.</returns>
    private async Task<List<long>> FillAsync()
    {
        var ids = new List<long> { await AddAsync(Entry("/delivered")) };
        await Store.CompleteAsync((await LeaseOneAsync()).Lease, new Settlement.Delivered(201, Response), Cancellation);
        ids.Add(await AddAsync(Entry("/dead", "dead") with { Attempts = 1, LastError = "HTTP 500", LastStatusCode = 500 }));
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, "HTTP 422", 422, Response), Cancellation);
        ids.Add(await AddAsync(Entry("/failed", "failed")));
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromDays(1), true, "HTTP 503", StatusCode: 503), Cancellation);
        ids.Add(await AddAsync(Entry("/left", "left")));
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease,
            new Settlement.Retry(TimeSpan.MaxValue, true, RequestedDelay: true, LeavesLane: true),
            Cancellation);
        ids.Add(await AddAsync(Entry("/asked", "asked") with { Delay = TimeSpan.FromHours(1), RequestedDelay = true }));
        ids.Add(await AddStreamedAsync(Entry("/waits", "asked") with { Prerequisite = ids[^1] }, new byte[600_000], 100_000));
        ids.Add(await AddAsync(Entry("/blocked", "blocked") with { Prerequisite = ids[^2], CoalesceKey = "key" }));
        ids.Add(await AddAsync(Entry("/low") with { Priority = EntryPriority.Low, Body = EntryBody.FromBytes("low"u8.ToArray()) }));
        ids.Add(await AddAsync(Entry("/urgent") with
        {
            Priority = EntryPriority.High,
            End = QueueEnd.Front,
            Timestamp = Clock.GetUtcNow().AddDays(-2),
            ExpiresAt = Clock.GetUtcNow().AddDays(2),
            Metadata = new Dictionary<string, string> { ["kind"] = "photo" },
            TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }));
        await Store.SetPauseAsync(Queue, new QueuePause(PauseCause.Credentials, "HTTP 401", Clock.GetUtcNow()), Cancellation);
        return ids;
    }

    /// <summary>All that can be read of the queue, line by line.</summary>
    private async Task<List<string>> DescribeAsync(List<long> ids)
    {
        var counts = await Store.CountAsync(Queue, Cancellation);
        List<string> lines = [$"{counts}", $"{await Store.GetPauseAsync(Queue, Cancellation)}"];
        lines.AddRange((await Store.GetScheduleAsync(Queue, Cancellation)).Select(static schedule => $"{schedule}"));
        lines.AddRange((await ReadAllAsync()).Select(Describe));
        foreach (var letter in await ReadDeadAsync())
        {
            lines.Add($"{letter.Id} {letter.Cause} {letter.Error} {letter.StatusCode} {letter.DeadLetteredAt:O} {Describe(letter.Entry!)}");
            AssertResponse(Response with { StatusCode = 422 }, letter.Response);
            lines.AddRange(letter.History.Select(static attempt => $"{attempt}"));
        }

        foreach (var id in ids)
        {
            var receipt = await Store.GetReceiptAsync(Queue, id, Cancellation);
            lines.Add($"{receipt} {string.Join(", ", receipt?.Response?.Headers ?? [])} {receipt?.Response?.Body.Span[0]}");
            lines.AddRange((await Store.GetHistoryAsync(Queue, id, Cancellation)).Select(static attempt => $"{attempt}"));
            lines.Add(Convert.ToBase64String(await ReadBodyAsync(id) ?? [0]));
        }

        return lines;

        static string Describe(QueuedEntry entry) =>
            $"{entry} {entry.Request.Method} {entry.Request.Uri} {entry.Request.Version} {string.Join(", ", entry.Metadata)}";
    }
}

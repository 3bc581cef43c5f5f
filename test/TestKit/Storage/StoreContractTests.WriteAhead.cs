using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>Requests that are held while they are sent for the first time.</summary>
public abstract partial class StoreContractTests
{
    private static readonly WriteAheadCommit _atOnce = new(TimeSpan.Zero);

    [Fact]
    public async Task A_held_request_stands_in_no_queue()
    {
        await BeginWriteAheadAsync(Entry() with { Body = EntryBody.FromBytes(new byte[3]), ExpiresAt = Clock.GetUtcNow() });
        Clock.Advance(TimeSpan.FromDays(1));

        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
        Assert.Empty(await ReadAllAsync());
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.Null(await Store.LeaseLaneAsync(Queue, "", LeaseTime, Cancellation));
        Assert.False(await Store.HasEntriesAsync(Queue, "", Cancellation));
        Assert.Empty(await Store.ExpireAsync(Queue, 10, keep: true, Cancellation));
        Assert.Equal(0, await Store.ClearAsync(Queue, 10, Cancellation));
        Assert.Equal(ReclaimedWork.None, await Store.ReclaimAsync(Cancellation));
    }

    [Fact]
    public async Task A_released_request_is_the_entry_that_was_held()
    {
        var made = Clock.GetUtcNow();
        var held = await BeginWriteAheadAsync(Entry("/held", "lane") with
        {
            Body = EntryBody.FromBytes("hello"u8.ToArray()),
            ExpiresAt = made + TimeSpan.FromDays(1),
            Metadata = new Dictionary<string, string> { ["kind"] = "photo" },
            TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            CoalesceKey = "key",
            Prerequisite = 7,
        });
        Clock.Advance(TimeSpan.FromSeconds(5));

        var id = (await Store.CommitWriteAheadAsync(held, new(TimeSpan.FromSeconds(9), false, 1, "timed out"), Cancellation))!.Id;

        var entry = Assert.Single(await ReadAllAsync());
        Assert.Equal((id, "lane", "/held"), (entry.Id, entry.Lane, entry.Request.Uri.AbsolutePath));
        Assert.Equal((made, made + TimeSpan.FromDays(1)), (entry.Timestamp, entry.ExpiresAt));
        Assert.Equal("photo", entry.Metadata["kind"]);
        Assert.Equal("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", entry.TraceParent);
        Assert.Equal(("key", 7), (entry.CoalesceKey, entry.Prerequisite));
        Assert.Equal((1, "timed out"), (entry.Attempts, entry.LastError));
        Assert.Equal((Clock.GetUtcNow() + TimeSpan.FromSeconds(9), false), (entry.DueAt, entry.IsLeased));
        Assert.Equal("hello"u8.ToArray(), await ReadBodyAsync(entry.Id));
        Assert.Equal(new QueueCounts(1, 0, 5), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_wait_that_a_release_asks_for_is_ended_by_time_alone()
    {
        await Store.CommitWriteAheadAsync(await BeginWriteAheadAsync(Entry("/1", "one")), new(TimeSpan.FromSeconds(9)), Cancellation);
        await Store.CommitWriteAheadAsync(
            await BeginWriteAheadAsync(Entry("/2", "two")), new(TimeSpan.FromSeconds(9), RequestedDelay: true), Cancellation);

        Assert.Equal(1, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));

        Assert.Equal("/1", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
        Clock.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal("/2", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
    }

    [Fact]
    public async Task A_released_request_stands_where_it_was_held()
    {
        await Store.AddAsync(Entry("/before"), Cancellation);
        var held = await BeginWriteAheadAsync(Entry("/held"));
        await Store.AddAsync(Entry("/after"), Cancellation);
        var front = await BeginWriteAheadAsync(Entry("/front") with { End = QueueEnd.Front });
        await Store.AddAsync(Entry("/foremost") with { End = QueueEnd.Front }, Cancellation);

        await Store.CommitWriteAheadAsync(held, _atOnce, Cancellation);
        await Store.CommitWriteAheadAsync(front, _atOnce, Cancellation);

        string[] expected = ["/foremost", "/front", "/before", "/held", "/after"];
        Assert.Equal(expected, (await ReadAllAsync()).Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal(expected, await DrainAsync());
    }

    [Fact]
    public async Task A_released_request_goes_before_what_was_queued_after_it()
    {
        var held = await BeginWriteAheadAsync(Entry("/held"));
        await Store.AddAsync(
            Entry("/after") with
            {
                Attempts = 2,
                LastError = "HTTP 503",
                Delay = TimeSpan.FromMinutes(1),
                RequestedDelay = true,
            },
            Cancellation);

        await Store.CommitWriteAheadAsync(held, _atOnce, Cancellation);

        var first = await LeaseOneAsync();
        Assert.Equal("/held", first.Entry!.Request.Uri.AbsolutePath);
        await Store.CompleteAsync(first.Lease, null, Cancellation);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(1));
        var second = await LeaseOneAsync();
        Assert.Equal((2, "HTTP 503"), (second.Entry!.Attempts, second.Entry.LastError));
    }

    [Fact]
    public async Task A_released_request_waits_for_what_is_being_sent()
    {
        var held = await BeginWriteAheadAsync(Entry("/held"));
        await Store.AddAsync(Entry("/after"), Cancellation);
        var sending = await LeaseOneAsync();

        await Store.CommitWriteAheadAsync(held, _atOnce, Cancellation);

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.True(await Store.SettleAsync(sending.Lease, new Settlement.Retry(TimeSpan.Zero, true), Cancellation));
        Assert.Equal(["/held", "/after"], await DrainAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_held_request_is_released_or_dropped_once(bool isReleased)
    {
        var held = await BeginWriteAheadAsync(Entry());

        if (isReleased)
        {
            Assert.NotNull(await Store.CommitWriteAheadAsync(held, _atOnce, Cancellation));
        }
        else
        {
            Assert.True(await Store.DiscardWriteAheadAsync(held, Cancellation));
        }

        Assert.Null(await Store.CommitWriteAheadAsync(held, _atOnce, Cancellation));
        Assert.False(await Store.DiscardWriteAheadAsync(held, Cancellation));
        Assert.Equal(isReleased ? 1 : 0, (await Store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task A_streamed_body_belongs_to_the_request_that_is_held()
    {
        var body = new byte[300_000];
        Array.Fill<byte>(body, 7);
        long held;
        await using (var writer = await Store.BeginBodyAsync(Cancellation))
        {
            await writer.WriteAsync(body, Cancellation);
            held = await BeginWriteAheadAsync(Entry() with { Body = EntryBody.FromWriter(writer) });
            await Assert.ThrowsAsync<InvalidOperationException>(
                () => BeginWriteAheadAsync(Entry() with { Body = EntryBody.FromWriter(writer) }));
        }

        var id = (await Store.CommitWriteAheadAsync(held, _atOnce, Cancellation))!.Id;

        Assert.Equal(body, await ReadBodyAsync(id));
    }

    [Fact]
    public async Task A_held_request_that_does_not_fit_is_refused_and_stays_held()
    {
        var held = await BeginWriteAheadAsync(Entry("/held"));
        await Store.AddAsync(Entry("/1"), Cancellation);

        var refused = await Assert.ThrowsAsync<QueueStoreException>(
            async () => await Store.CommitWriteAheadAsync(held, _atOnce with { Limits = new(1, null, WhenFull.RefuseNew) }, Cancellation));

        Assert.Equal(StoreFault.QueueFull, refused.Fault);
        Assert.Equal(1, (await Store.CountAsync(Queue, Cancellation)).Pending);
        Assert.True(await Store.DiscardWriteAheadAsync(held, Cancellation));
    }

    [Fact]
    public async Task Others_make_room_for_a_held_request_as_for_a_new_one()
    {
        var held = await BeginWriteAheadAsync(Entry("/held"));
        await Store.AddAsync(Entry("/1"), Cancellation);

        var released = await Store.CommitWriteAheadAsync(held, _atOnce with { Limits = new(1, null, WhenFull.DropOldest) }, Cancellation);

        Assert.Equal("/1", Assert.Single(released!.Dropped).Entry!.Request.Uri.AbsolutePath);
        Assert.Equal(["/held"], await DrainAsync());
    }

    [Fact]
    public async Task A_held_request_stands_among_those_of_its_priority_with_its_first_attempt_in_its_history()
    {
        var held = await BeginWriteAheadAsync(Entry("/high") with { Priority = EntryPriority.High });
        await Store.AddAsync(Entry("/normal"), Cancellation);

        var released = await Store.CommitWriteAheadAsync(
            held, new(TimeSpan.Zero, Attempts: 1, LastError: "HTTP 503", LastStatusCode: 503), Cancellation);

        var attempt = Assert.Single(await Store.GetHistoryAsync(Queue, released!.Id, Cancellation));
        Assert.Equal((503, "HTTP 503"), (attempt.StatusCode, attempt.Error));
        Assert.Equal(["/high", "/normal"], await DrainAsync());
    }

    [Fact]
    public async Task No_two_held_requests_have_one_id()
    {
        var first = await BeginWriteAheadAsync(Entry());
        await Store.DiscardWriteAheadAsync(first, Cancellation);

        Assert.NotEqual(first, await BeginWriteAheadAsync(Entry()));
    }

    private protected async Task<long> BeginWriteAheadAsync(NewEntry entry, bool isRepeatable = true) =>
        await Store.BeginWriteAheadAsync(entry, isRepeatable, Cancellation);

    private async Task<List<string>> DrainAsync()
    {
        var paths = new List<string>();
        while ((await Store.CountAsync(Queue, Cancellation)).Pending > 0)
        {
            var leased = await LeaseOneAsync();
            paths.Add(leased.Entry!.Request.Uri.AbsolutePath);
            await Store.CompleteAsync(leased.Lease, null, Cancellation);
        }

        return paths;
    }
}

using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

public abstract partial class StoreContractTests
{
    protected static StoredResponse Response { get; } = new(
        201, [new("X-Many", "1"), new("Content-Type", "text/plain"), new("X-Many", "2 \"é\"")], "created"u8.ToArray(), IsWhole: true);

    [Fact]
    public async Task A_delivered_entry_leaves_the_receipt_that_was_given()
    {
        var id = await AddAsync(Entry());
        var lease = (await LeaseOneAsync()).Lease;
        Clock.Advance(TimeSpan.FromSeconds(1));

        await Store.CompleteAsync(lease, new Settlement.Delivered(201, Response), Cancellation);

        var receipt = await GetReceiptAsync(id);
        Assert.Equal((id, Queue, ReceiptState.Delivered, Clock.GetUtcNow()), (receipt.Id, receipt.Queue, receipt.State, receipt.At));
        Assert.Equal((201, null, null), (receipt.StatusCode, receipt.Cause, receipt.Error));
        AssertResponse(Response, receipt.Response);
    }

    [Fact]
    public async Task A_response_may_be_its_status_only_and_its_body_empty_or_cut()
    {
        await AssertKeptAsync(new Settlement.Delivered(204));
        await AssertKeptAsync(new Settlement.Delivered(204, new(204, [], default, IsWhole: true)));
        await AssertKeptAsync(new Settlement.Delivered(200, new(200, [], new byte[] { 0, 255 }, IsWhole: false)));

        async Task AssertKeptAsync(Settlement.Delivered delivery)
        {
            var id = await AddAsync(Entry());
            await Store.CompleteAsync((await LeaseOneAsync()).Lease, delivery, Cancellation);
            var receipt = await GetReceiptAsync(id);
            Assert.Equal(delivery.StatusCode, receipt.StatusCode);
            AssertResponse(delivery.Response, receipt.Response);
        }
    }

    [Fact]
    public async Task A_delivery_that_was_not_given_leaves_no_receipt()
    {
        var id = await AddAsync(Entry());
        await Store.CompleteAsync((await LeaseOneAsync()).Lease, null, Cancellation);

        Assert.Null(await Store.GetReceiptAsync(Queue, id, Cancellation));
    }

    [Fact]
    public async Task A_delivery_whose_lease_was_lost_leaves_no_receipt()
    {
        var id = await AddAsync(Entry());
        var lost = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime);
        await LeaseOneAsync();

        Assert.False(await Store.CompleteAsync(lost, new Settlement.Delivered(200), Cancellation));

        Assert.Equal(ReceiptState.Queued, (await GetReceiptAsync(id)).State);
    }

    [Fact]
    public async Task The_receipt_of_a_live_entry_says_that_it_is_queued_in_flight_too()
    {
        var id = await AddAsync(Entry() with { Timestamp = Clock.GetUtcNow().AddDays(-1) });
        await AssertQueuedAsync();
        await LeaseOneAsync();
        await AssertQueuedAsync();

        async Task AssertQueuedAsync() => Assert.Equal(
            new Receipt { Id = id, Queue = Queue, State = ReceiptState.Queued, At = Clock.GetUtcNow().AddDays(-1) },
            await GetReceiptAsync(id));
    }

    [Fact]
    public async Task A_dead_letter_and_its_receipt_keep_the_last_response()
    {
        var id = await AddAsync(Entry());
        var lease = (await LeaseOneAsync()).Lease;

        await Store.SettleAsync(lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, "HTTP 201", 201, Response), Cancellation);

        AssertResponse(Response, Assert.Single(await ReadDeadAsync()).Response);
        var receipt = await GetReceiptAsync(id);
        Assert.Equal((ReceiptState.DeadLettered, Clock.GetUtcNow(), 201), (receipt.State, receipt.At, receipt.StatusCode));
        Assert.Equal((DeadLetterCause.Rejected, "HTTP 201"), (receipt.Cause, receipt.Error));
        AssertResponse(Response, receipt.Response);
    }

    [Fact]
    public async Task An_expired_entry_leaves_a_receipt_that_says_so()
    {
        var id = await AddAsync(Entry() with { ExpiresAt = Clock.GetUtcNow() });
        Clock.Advance(TimeSpan.FromMilliseconds(1));

        await Store.ExpireAsync(Queue, 10, keep: true, Cancellation);

        var receipt = await GetReceiptAsync(id);
        Assert.Equal((ReceiptState.DeadLettered, DeadLetterCause.Expired, null), (receipt.State, receipt.Cause, receipt.StatusCode));
    }

    [Fact]
    public async Task The_receipt_of_a_dead_letter_outlives_it()
    {
        var id = await DeadLetterOneAsync();

        await Store.DeleteDeadLetterAsync(Queue, id, Cancellation);

        Assert.Equal(
            (ReceiptState.DeadLettered, DeadLetterCause.Exhausted), ((await GetReceiptAsync(id)).State, (await GetReceiptAsync(id)).Cause));
    }

    [Fact]
    public async Task A_dead_letter_says_what_it_is_when_its_receipt_is_forgotten()
    {
        var id = await DeadLetterOneAsync();

        Assert.Equal(1, await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, 10, Cancellation));

        Assert.Equal(
            (ReceiptState.DeadLettered, DeadLetterCause.Exhausted), ((await GetReceiptAsync(id)).State, (await GetReceiptAsync(id)).Cause));
        await Store.DeleteDeadLetterAsync(Queue, id, Cancellation);
        Assert.Null(await Store.GetReceiptAsync(Queue, id, Cancellation));
    }

    [Fact]
    public async Task An_entry_that_is_queued_again_is_queued_and_not_dead_until_it_ends_once_more()
    {
        var id = await DeadLetterOneAsync();
        await Store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation);
        Assert.Equal(ReceiptState.Queued, (await GetReceiptAsync(id)).State);

        await Store.CompleteAsync((await LeaseOneAsync()).Lease, new Settlement.Delivered(200), Cancellation);

        Assert.Equal((ReceiptState.Delivered, null), ((await GetReceiptAsync(id)).State, (await GetReceiptAsync(id)).Cause));
    }

    [Fact]
    public async Task An_entry_that_is_queued_again_and_removed_was_never_there()
    {
        var id = await DeadLetterOneAsync();
        await Store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation);

        await Store.RemoveAsync(Queue, id, null, Cancellation);

        Assert.Null(await Store.GetReceiptAsync(Queue, id, Cancellation));
    }

    [Fact]
    public async Task A_queue_has_no_receipts_of_another()
    {
        var delivered = await DeliverOneAsync();
        var dead = await DeadLetterOneAsync();
        var live = await AddAsync(Entry());

        foreach (var id in (long[])[delivered, dead, live])
        {
            Assert.NotNull(await Store.GetReceiptAsync(Queue, id, Cancellation));
            Assert.Null(await Store.GetReceiptAsync("other", id, Cancellation));
        }

        Assert.Equal(0, await Store.ForgetReceiptsAsync("other", DateTimeOffset.MaxValue, 10, Cancellation));
    }

    [Fact]
    public async Task Receipts_are_forgotten_by_age_the_oldest_first_and_no_more_than_asked()
    {
        List<long> ids = [];
        for (var i = 0; i < 4; i++)
        {
            ids.Add(await DeliverOneAsync());
            Clock.Advance(TimeSpan.FromSeconds(1));
        }

        var before = Clock.GetUtcNow().AddSeconds(-1);
        Assert.Equal(2, await Store.ForgetReceiptsAsync(Queue, before, 2, Cancellation));
        Assert.Equal([ids[2], ids[3]], await KnownAsync());
        Assert.Equal(1, await Store.ForgetReceiptsAsync(Queue, before, 2, Cancellation));
        Assert.Equal([ids[3]], await KnownAsync());
        Assert.Equal(0, await Store.ForgetReceiptsAsync(Queue, before, 2, Cancellation));

        async Task<List<long>> KnownAsync()
        {
            List<long> known = [];
            foreach (var id in ids)
            {
                if (await Store.GetReceiptAsync(Queue, id, Cancellation) is not null)
                {
                    known.Add(id);
                }
            }

            return known;
        }
    }

    [Fact]
    public async Task The_receipt_that_a_live_entry_waits_for_is_not_forgotten()
    {
        var first = await DeliverOneAsync();
        var waiting = await AddAsync(Entry() with { Prerequisite = first });

        Assert.Equal(0, await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, 10, Cancellation));
        await Store.RemoveAsync(Queue, waiting, null, Cancellation);

        Assert.Equal(1, await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, 10, Cancellation));
    }

    private async Task<Receipt> GetReceiptAsync(long id) => (await Store.GetReceiptAsync(Queue, id, Cancellation))!;

    private async Task<long> DeliverOneAsync()
    {
        var id = await AddAsync(Entry());
        await Store.CompleteAsync((await LeaseOneAsync()).Lease, new Settlement.Delivered(200), Cancellation);
        return id;
    }

    private async Task<long> DeadLetterOneAsync()
    {
        var id = await AddAsync(Entry());
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Exhausted), Cancellation);
        return id;
    }

    protected static void AssertResponse(StoredResponse? expected, StoredResponse? actual)
    {
        Assert.Equal(expected is null, actual is null);
        if (expected is not null)
        {
            Assert.Equal((expected.StatusCode, expected.IsWhole), (actual!.StatusCode, actual.IsWhole));
            Assert.Equal(expected.Headers, actual.Headers);
            Assert.Equal(expected.Body.ToArray(), actual.Body.ToArray());
        }
    }
}

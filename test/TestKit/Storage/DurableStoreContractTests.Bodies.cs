using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>Streamed bodies that are of no use any more, and are not left in the storage.</summary>
public abstract partial class DurableStoreContractTests
{
    [Fact]
    public async Task A_refused_body_leaves_nothing_behind()
    {
        await Store.AddAsync(Entry(), Cancellation);
        await using (var body = await BeginAsync(300_000))
        {
            var entry = Entry() with { Body = EntryBody.FromWriter(body), Limits = new(1, null, WhenFull.RefuseNew) };
            await Assert.ThrowsAsync<QueueStoreException>(async () => await Store.AddAsync(entry, Cancellation));
            Assert.NotEqual(0, await CountBodiesAsync());
        }

        Assert.Equal(0, await CountBodiesAsync());
    }

    [Fact]
    public async Task A_body_goes_with_its_entry_however_that_goes()
    {
        foreach (var lane in (string[])["removed", "cleared", "replaced", "delivered", "discarded", "deleted", "trimmed", "expired"])
        {
            var expiresAt = lane == "expired" ? Clock.GetUtcNow() : DateTimeOffset.MaxValue;
            await AddStreamedAsync(Entry("/" + lane, lane) with { ExpiresAt = expiresAt }, new byte[10], 10);
        }

        Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Single(await Store.ExpireAsync(Queue, 10, keep: false, Cancellation));
        await Store.CompleteAsync(await LeaseAsync("delivered"), null, Cancellation);
        await Store.SettleAsync(
            await LeaseAsync("discarded"), new Settlement.DeadLettered(DeadLetterCause.Rejected, IsKept: false), Cancellation);
        var deleted = await LeaseAsync("deleted");
        await Store.SettleAsync(deleted, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        await Store.DeleteDeadLetterAsync(Queue, deleted.EntryId, Cancellation);
        await Store.SettleAsync(await LeaseAsync("trimmed"), new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        Assert.Single(await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MaxValue, keep: null, 10, Cancellation));
        var left = (await ReadAllAsync()).ToDictionary(entry => entry.Lane);
        Assert.Equal(["cleared", "removed", "replaced"], left.Keys.Order());
        await Store.ReplaceAsync(left["replaced"], EntryBody.Empty, TimeSpan.Zero, Cancellation);
        await Store.RemoveAsync(Queue, left["removed"].Id, null, Cancellation);
        Assert.NotEqual(0, await CountBodiesAsync());
        await Store.ClearAsync(Queue, 1, Cancellation);

        Assert.Equal(0, await CountBodiesAsync());

        async Task<Lease> LeaseAsync(string lane) => (await Store.LeaseLaneAsync(Queue, lane, LeaseTime, Cancellation))!.Lease;
    }

    [Fact]
    public async Task A_request_that_is_dropped_takes_its_body_along()
    {
        await using var body = await BeginAsync(300_000);
        var held = await BeginWriteAheadAsync(Entry() with { Body = EntryBody.FromWriter(body) });
        Assert.NotEqual(0, await CountBodiesAsync());

        await Store.DiscardWriteAheadAsync(held, Cancellation);

        Assert.Equal(0, await CountBodiesAsync());
    }

    [Fact]
    public async Task A_body_that_was_begun_and_never_named_goes_when_its_store_is_no_more()
    {
        await BeginAsync(300_000);
        var id = await AddStreamedAsync(Entry(), new byte[100], 100);
        var held = await BeginAsync(200);
        await BeginWriteAheadAsync(Entry() with { Body = EntryBody.FromWriter(held) });

        await ReopenAsync();
        var entry = Assert.Single((await Store.ReclaimAsync(Cancellation)).Entries);

        Assert.Equal(new byte[100], await ReadBodyAsync(id));
        Assert.Equal(new byte[200], await ReadBodyAsync(entry.Id));
        Assert.Equal(2, await Store.ClearAsync(Queue, 10, Cancellation));
        Assert.Equal(0, await CountBodiesAsync());
    }

    private async Task<IStoredBodyWriter> BeginAsync(int length)
    {
        var body = await Store.BeginBodyAsync(Cancellation);
        await body.WriteAsync(new byte[length], Cancellation);
        return body;
    }
}

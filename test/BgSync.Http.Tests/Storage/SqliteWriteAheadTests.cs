using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>A process that died leaves the requests that it was sending for the first time.</summary>
public sealed class SqliteWriteAheadTests : SqliteStoreFixture
{
    [Fact]
    public async Task At_the_next_start_it_is_there_at_once_and_told_once()
    {
        await using (var victim = Open())
        {
            await using var body = await victim.BeginBodyAsync(Cancellation);
            await body.WriteAsync(new byte[300_000], Cancellation);
            await BeginWriteAheadAsync(victim, Entry("/held") with { Body = EntryBody.FromWriter(body) });
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
    public async Task A_flipped_byte_of_a_held_request_is_damage_and_the_queue_goes_on()
    {
        await using (var victim = Open())
        {
            await BeginWriteAheadAsync(victim, Entry("/flipped"));
            await BeginWriteAheadAsync(victim, Entry("/whole"));
        }

        Flip(DatabasePath, "/flipped"u8, offset: 3);
        var store = Open();

        Assert.Equal("/whole", Assert.Single((await store.ReclaimAsync(Cancellation)).Entries).Request.Uri.AbsolutePath);
        var damaged = await LeaseOneAsync(store);
        Assert.False(damaged.IsReadable);
        await store.SettleAsync(damaged.Lease, new Settlement.DeadLettered(DeadLetterCause.Unreadable, damaged.Damage), Cancellation);
        Assert.Equal("/whole", (await LeaseOneAsync(store)).Entry!.Request.Uri.AbsolutePath);
    }

    private static async Task<long> BeginWriteAheadAsync(SqliteQueueStore store, NewEntry entry) =>
        await store.BeginWriteAheadAsync(entry, isRepeatable: true, Cancellation);
}

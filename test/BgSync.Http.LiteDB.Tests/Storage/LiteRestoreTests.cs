using BgSync.Http.LiteDB.Files;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using LiteDB;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

/// <summary>The documents of a damaged file become a queue again: here those of a whole one, in another order and without places.</summary>
public sealed class LiteRestoreTests : LiteDBStoreFixture
{
    [Fact]
    public async Task All_that_can_be_read_is_a_store_again()
    {
        var body = new byte[(3 * 256 * 1024) + 1];
        Random.Shared.NextBytes(body);
        List<QueuedEntry> entries;
        List<DeadLetter> letters;
        long waiting, streamed, delivered;
        await using (var store = Open())
        {
            var first = (await store.AddAsync(Entry("/first", "a"), Cancellation)).Id;
            var lease = await LeaseOneAsync(store);
            await store.SettleAsync(
                lease.Lease,
                new Settlement.Retry(TimeSpan.FromHours(1), true, "busy", RequestedDelay: true, StatusCode: 503),
                Cancellation);
            await using (var writer = await store.BeginBodyAsync(Cancellation))
            {
                await writer.WriteAsync(body, Cancellation);
                streamed = (await store.AddAsync(Entry("/body", "b") with { Body = EntryBody.FromWriter(writer) }, Cancellation)).Id;
            }

            waiting = (await store.AddAsync(Entry("/waits", "c") with { Prerequisite = first, CoalesceKey = "k" }, Cancellation)).Id;
            await store.AddAsync(Entry("/front", "a") with { End = QueueEnd.Front, Priority = EntryPriority.Low }, Cancellation);
            delivered = await EndAsync(
                store, "/delivered", lease => store.CompleteAsync(lease, new Settlement.Delivered(201), Cancellation));
            await EndAsync(store, "/dead 1", lease => store.SettleAsync(
                lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, "no", 400), Cancellation));
            await EndAsync(store, "/dead 2", lease => store.SettleAsync(
                lease, new Settlement.DeadLettered(DeadLetterCause.Exhausted, "no more", 500), Cancellation));
            await store.SetPauseAsync(Queue, new QueuePause(PauseCause.Credentials, "401", Clock.GetUtcNow()), Cancellation);
            entries = await ReadAllAsync(store);
            letters = await store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation);
        }

        Assert.Equal((4, 2), Restore(documents => documents.Reverse()));

        var restored = Open(RestoredPath);
        Assert.Equivalent(entries, await ReadAllAsync(restored), strict: true);
        Assert.Equivalent(letters, await restored.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation), strict: true);
        Assert.Equal(new QueueCounts(4, 2, body.Length), await restored.CountAsync(Queue, Cancellation));
        Assert.Equal("401", (await restored.GetPauseAsync(Queue, Cancellation))!.Reason);
        Assert.Equal(201, (await restored.GetReceiptAsync(Queue, delivered, Cancellation))!.StatusCode);
        Assert.Equal(waiting, (await restored.FindLastAsync(Queue, "k", Cancellation))!.Id);
        Assert.Equal(503, Assert.Single(await restored.GetHistoryAsync(Queue, entries[0].Id, Cancellation)).StatusCode);
        using var read = new MemoryStream();
        await using (var stream = await restored.OpenBodyAsync(Queue, streamed, Cancellation))
        {
            await stream!.CopyToAsync(read, Cancellation);
        }

        Assert.Equal(body, read.ToArray());
        var added = (await restored.AddAsync(Entry("/new", "b"), Cancellation)).Id;
        Assert.True(added > letters[^1].Id);
        Assert.Equal(added, (await ReadAllAsync(restored))[^2].Id);
        Assert.Equal(["/body"], (await restored.LeaseAsync(Queue, Origin, 9, LeaseTime, Cancellation))
            .Select(static leased => leased.Entry!.Request.Uri.AbsolutePath));
    }

    [Fact]
    public async Task What_ended_and_is_read_from_an_older_page_does_not_come_back()
    {
        long id;
        BsonDocument older;
        await using (var store = Open())
        {
            id = (await store.AddAsync(Entry(), Cancellation)).Id;
            older = (await store.RunAsync(session => session.Get(Queue, id), Cancellation))!;
            await store.CompleteAsync((await LeaseOneAsync(store)).Lease, new Settlement.Delivered(200), Cancellation);
        }

        Assert.Equal((0, 0), Restore(documents => documents.Append(new SalvagedDocument(null, older))));

        var restored = Open(RestoredPath);
        Assert.Empty(await ReadAllAsync(restored));
        Assert.Equal(ReceiptState.Delivered, (await restored.GetReceiptAsync(Queue, id, Cancellation))!.State);
    }

    [Fact]
    public async Task What_was_leased_together_is_free_and_the_first_has_had_an_attempt()
    {
        await using (var store = Open())
        {
            await LeaseTogetherAsync(store, Entry("/1"), Entry("/2"), Entry("/3"));
        }

        Assert.Equal((3, 0), Restore(static documents => documents));

        var entries = await ReadAllAsync(Open(RestoredPath));
        Assert.Equal([1, 0, 0], entries.Select(static entry => entry.Attempts));
        Assert.All(entries, static entry => Assert.False(entry.IsLeased));
    }

    [Fact]
    public async Task A_damaged_entry_is_kept_to_be_told_of()
    {
        await using (var store = Open())
        {
            await store.AddAsync(Entry(), Cancellation);
        }

        Restore(documents => documents.Select(salvaged =>
        {
            if (salvaged.Document.ContainsKey("uri"))
            {
                salvaged.Document["uri"] = "https://other.example.com/";
            }

            return salvaged;
        }));

        Assert.NotNull((await LeaseOneAsync(Open(RestoredPath))).Damage);
    }

    private string RestoredPath => Directory.File("restored.db");

    private async Task<long> EndAsync(LiteDBQueueStore store, string path, Func<Lease, ValueTask<bool>> end)
    {
        var id = (await store.AddAsync(Entry(path, path), Cancellation)).Id;
        Assert.True(await end((await store.LeaseLaneAsync(Queue, path, LeaseTime, Cancellation))!.Lease));
        return id;
    }

    private (int Entries, int DeadLetters) Restore(Func<IEnumerable<SalvagedDocument>, IEnumerable<SalvagedDocument>> change)
    {
        List<SalvagedDocument> documents;
        using (var engine = Connect())
        {
            documents = [.. engine.GetCollectionNames().ToList()
                .SelectMany(name => ReadDocuments(engine, name))
                .Select(static document => new SalvagedDocument(null, document))];
        }

        var schema = new LiteSchema(Guid.NewGuid(), Clock);
        using var session = LiteSession.Open(new LiteFiles(RestoredPath, null, StableFileStream.Open));
        var restored = schema.Restore(session, change(documents), schema.Version);
        session.Stamp(schema.Version);
        return restored;
    }
}

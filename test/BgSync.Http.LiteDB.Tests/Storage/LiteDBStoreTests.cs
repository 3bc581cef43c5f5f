using System.Security.Cryptography;
using BgSync.Http.LiteDB.Collections;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using LiteDB;
using TestKit;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

public sealed class LiteDBStoreTests : LiteDBStoreFixture
{
    [Fact]
    public async Task An_entry_is_a_document_that_LiteDB_itself_shows()
    {
        await using (var store = Open())
        {
            await store.AddAsync(
                Entry("/photos?album=1", "albums/1", "my-queue") with
                {
                    Request = new RequestSnapshot
                    {
                        Method = HttpMethod.Put,
                        Uri = new Uri(Origin + "/photos?album=1"),
                        Headers = [new("X-Many", "1"), new("Accept", "a/b"), new("X-Many", "2")],
                    },
                    Body = EntryBody.FromBytes("hello"u8.ToArray()),
                    ExpiresAt = Clock.GetUtcNow() + TimeSpan.FromDays(1),
                    Metadata = new Dictionary<string, string> { ["kind"] = "photo" },
                },
                Cancellation);
        }

        var document = Assert.Single(ReadDocuments("my$2Dqueue"));

        Assert.Equal("my-queue", document["queue"].AsString);
        Assert.Equal("PUT", document["method"].AsString);
        Assert.Equal(Origin + "/photos?album=1", document["uri"].AsString);
        Assert.Equal("albums/1", document["lane"].AsString);
        Assert.Equal(0, document["attempts"].AsInt64);
        Assert.Equal(Clock.GetUtcNow().UtcDateTime, document["timestamp"].AsDateTime.ToUniversalTime());
        Assert.Equal(
            """[{"name":"X-Many","value":"1"},{"name":"Accept","value":"a/b"},{"name":"X-Many","value":"2"}]""",
            document["headers"].ToString());
        Assert.Equal("""[{"name":"kind","value":"photo"}]""", document["metadata"].ToString());
        Assert.Equal("hello"u8.ToArray(), document["body"].AsBinary);
    }

    [Fact]
    public async Task What_LiteDB_could_not_keep_as_it_is_is_kept_all_the_same()
    {
        var metadata = new Dictionary<string, string> { ["Key"] = "1", ["key"] = "2", [""] = "", ["a\0b"] = "x\0y" };
        await using (var store = Open())
        {
            await store.AddAsync(
                Entry() with
                {
                    Metadata = metadata,
                    Timestamp = DateTimeOffset.MinValue,
                    ExpiresAt = DateTimeOffset.MaxValue.AddTicks(-1),
                    LastError = "cut in two: \ud83d",
                },
                Cancellation);
        }

        var entry = Assert.Single(await ReadAllAsync(Open()));

        Assert.Equal(metadata, entry.Metadata);
        Assert.Equal(DateTimeOffset.MinValue, entry.Timestamp);
        Assert.Equal(DateTimeOffset.MaxValue, entry.ExpiresAt);
        Assert.Equal("cut in two: \ufffd", entry.LastError);
    }

    [Fact]
    public async Task Queues_whose_names_differ_in_case_only_are_two()
    {
        string[] names = ["orders", "Orders", "ORDERS"];
        await using (var store = Open())
        {
            foreach (var name in names)
            {
                await store.AddAsync(Entry("/" + name, queue: name), Cancellation);
            }
        }

        var again = Open();
        foreach (var name in names)
        {
            Assert.Equal(["/" + name], await ReadPathsAsync(again, name));
            Assert.Equal(1, (await again.CountAsync(name, Cancellation)).Pending);
        }
    }

    [Fact]
    public async Task A_queue_for_which_the_file_has_no_room_is_refused_alone()
    {
        var store = Open();
        var names = Enumerable.Range(0, 400).Select(static number => $"sixteen_chars{number:000}").ToList();

        // All at once, so that many share a transaction, and with it a collection that does not fit.
        var adds = names.ConvertAll(name => store.AddAsync(Entry(queue: name), Cancellation).AsTask());
        var refused = 0;
        foreach (var add in adds)
        {
            try
            {
                await add;
            }
            catch (QueueStoreException exception)
            {
                Assert.Equal(StoreFault.Full, exception.Fault);
                Assert.Contains("no room for queue 'sixteen_chars", exception.Message, StringComparison.Ordinal);
                refused++;
            }
        }

        Assert.InRange(refused, 1, 60);
        await store.DisposeAsync();
        var again = Open();
        var live = 0L;
        foreach (var name in names)
        {
            live += (await again.CountAsync(name, Cancellation)).Pending;
        }

        Assert.Equal(names.Count - refused, live);
        await again.AddAsync(Entry(queue: names[0]), Cancellation);
        Assert.Equal(2, (await again.CountAsync(names[0], Cancellation)).Pending);
    }

    [Fact]
    public async Task A_new_queue_whose_transaction_fails_is_made_by_the_next()
    {
        var store = Open();

        await Assert.ThrowsAsync<InvalidOperationException>(() => store.RunAsync(
            bool (session) =>
            {
                session.Changes.Queues.Open(session, "fresh").Enter(bytes: 1);
                throw new InvalidOperationException();
            },
            Cancellation));

        await store.AddAsync(Entry("/1", queue: "fresh"), Cancellation);
        Assert.Equal(["/1"], await ReadPathsAsync(store, "fresh"));
        Assert.Equal(new QueueCounts(1, 0, 0), await store.CountAsync("fresh", Cancellation));
    }

    [Fact]
    public async Task A_lease_of_the_process_before_is_void_when_the_file_is_opened()
    {
        long id;
        await using (var store = Open())
        {
            id = (await store.AddAsync(Entry(), Cancellation)).Id;
            await LeaseOneAsync(store);
        }

        var again = Open();
        var leased = await LeaseOneAsync(again);

        Assert.Equal((id, 1), (leased.Lease.EntryId, leased.Entry!.Attempts));
        Assert.Equal(1, (await again.ReclaimAsync(Cancellation)).Leases);
        Assert.Equal(0, (await again.ReclaimAsync(Cancellation)).Leases);
        Assert.True(await again.CompleteAsync(leased.Lease, null, Cancellation));
    }

    [Fact]
    public async Task What_the_process_before_leased_together_is_free_and_the_first_has_had_an_attempt()
    {
        long last;
        await using (var store = Open())
        {
            last = (await LeaseTogetherAsync(store, Entry("/1"), Entry("/2")))[^1].Lease.EntryId;
            await store.AddAsync(Entry("/3"), Cancellation);
        }

        Assert.Equal(
            ReadDocuments(Queue).Single(entry => entry["_id"] == last)["position"],
            Assert.Single(ReadDocuments(LiteSchema.Lanes))["leasedTo"]);

        var again = Open();
        Assert.Equal(1, (await again.ReclaimAsync(Cancellation)).Leases);
        var entries = await ReadAllAsync(again);
        Assert.Equal([1, 0, 0], entries.Select(static entry => entry.Attempts));
        Assert.All(entries, static entry => Assert.False(entry.IsLeased));
        Assert.Equal(3, await again.ClearAsync(Queue, 10, Cancellation));
    }

    [Fact]
    public async Task A_lane_says_how_far_its_lease_goes_only_while_it_is_leased()
    {
        await using (var store = Open())
        {
            var run = await LeaseTogetherAsync(store, Entry("/1"), Entry("/2"), Entry("/3"));
            await store.SettleAsync(run[0].Lease, new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: true), Cancellation);
        }

        var lane = Assert.Single(ReadDocuments(LiteSchema.Lanes));
        Assert.False(lane.ContainsKey("lease") || lane.ContainsKey("leasedTo"));
        Assert.Empty(ReadDocuments(LiteSchema.Leases));
    }

    [Fact]
    public async Task What_does_not_fit_beside_what_is_leased_together_is_refused_before_the_queue_is_read()
    {
        var store = Open();
        var large = Entry() with { Body = EntryBody.FromBytes(new byte[100]) };
        await LeaseTogetherAsync(store, large, large, large);
        await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => store.AddAsync(Entry(lane: "b"), Cancellation).AsTask()));
        var before = await store.RunAsync(static session => session.Reads, Cancellation);

        var limits = new QueueLimits(null, 300, WhenFull.DropOldest);
        await AssertFaultAsync(StoreFault.QueueFull, () => store.AddAsync(large with { Limits = limits }, Cancellation).AsTask());

        Assert.InRange(await store.RunAsync(static session => session.Reads, Cancellation) - before, 0, 20);
    }

    [Fact]
    public async Task What_the_process_before_held_enters_its_queue_or_dies_and_is_told_once()
    {
        await using (var store = Open())
        {
            await store.BeginWriteAheadAsync(Entry("/again"), isRepeatable: true, Cancellation);
            await store.BeginWriteAheadAsync(Entry("/once"), isRepeatable: false, Cancellation);
        }

        var again = Open();
        Assert.Equal(["/again"], await ReadPathsAsync(again));
        var work = await again.ReclaimAsync(Cancellation);

        Assert.Equal("/again", Assert.Single(work.Entries).Request.Uri.AbsolutePath);
        Assert.Equal(DeadLetterCause.MaybeProcessed, Assert.Single(work.DeadLetters).Cause);
        Assert.Equal("/once", (await again.ReadDeadLettersAsync(Queue, Cancellation).SingleAsync(Cancellation)).Entry!.Request.Uri.AbsolutePath);
        Assert.Empty((await again.ReclaimAsync(Cancellation)).Entries);
    }

    [Fact]
    public async Task A_body_that_the_process_before_did_not_finish_is_deleted()
    {
        await using (var store = Open())
        {
            var writer = await store.BeginBodyAsync(Cancellation);
            await writer.WriteAsync(new byte[20 * 256 * 1024], Cancellation);
        }

        var again = Open();
        await again.ReclaimAsync(Cancellation);
        await Eventually.TrueAsync(() => CountChunks(again) == 0, "no chunk is left");
        Assert.Empty(await again.RunAsync(static session => session.ReadAll(LiteSchema.Bodies), Cancellation));
    }

    [Fact]
    public async Task A_large_body_is_deleted_bit_by_bit_and_to_its_end()
    {
        var store = Open();
        var bytes = RandomNumberGenerator.GetBytes((40 * 256 * 1024) + 5);
        long id;
        await using (var writer = await store.BeginBodyAsync(Cancellation))
        {
            await writer.WriteAsync(bytes, Cancellation);
            id = (await store.AddAsync(Entry() with { Body = EntryBody.FromWriter(writer) }, Cancellation)).Id;
        }

        using (var read = new MemoryStream())
        {
            await using var body = await store.OpenBodyAsync(Queue, id, Cancellation);
            await body!.CopyToAsync(read, Cancellation);
            Assert.Equal(bytes, read.ToArray());
        }

        await store.RemoveAsync(Queue, id, null, Cancellation);

        await Eventually.TrueAsync(() => CountChunks(store) == 0, "no chunk is left");
    }

    [Theory]
    [InlineData("uri", "https://evil.example.com/")]
    [InlineData("headers", 5)]
    [InlineData("checksum", null)]
    public async Task A_damaged_document_is_leased_with_its_damage(string field, object? value)
    {
        long id;
        await using (var store = Open())
        {
            id = (await store.AddAsync(Entry("/1"), Cancellation)).Id;
        }

        using (var engine = Connect())
        {
            var document = Assert.Single(ReadDocuments(engine, Queue));
            document[field] = value is string text ? text : value is int number ? number : BsonValue.Null;
            engine.Update(Queue, [document]);
        }

        var again = Open();
        var leased = await LeaseOneAsync(again);

        Assert.Equal((id, false), (leased.Lease.EntryId, leased.IsReadable));
        Assert.Empty(await ReadAllAsync(again));
        Assert.True(await again.SettleAsync(leased.Lease, new Settlement.DeadLettered(DeadLetterCause.Unreadable), Cancellation));
        var letter = await again.ReadDeadLettersAsync(Queue, Cancellation).SingleAsync(Cancellation);
        Assert.Equal((id, null), (letter.Id, letter.Entry));
        Assert.False(await again.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation));
    }

    [Fact]
    public async Task Ids_go_on_after_the_queue_was_empty_and_the_file_closed()
    {
        long first;
        await using (var store = Open())
        {
            first = (await store.AddAsync(Entry(), Cancellation)).Id;
            await store.RemoveAsync(Queue, first, null, Cancellation);
        }

        Assert.True((await Open().AddAsync(Entry(), Cancellation)).Id > first);
    }

    [Fact]
    public async Task A_file_with_a_password_is_opened_with_it_only()
    {
        var connectionString = $"Filename={DatabasePath};Password=secret";
        await using (var store = Open(connectionString))
        {
            await store.AddAsync(Entry("/hidden"), Cancellation);
        }

        Assert.Equal(-1, File.ReadAllBytes(DatabasePath).AsSpan().IndexOf("/hidden"u8));
        await using (var stranger = Open())
        {
            await Assert.ThrowsAsync<QueueStoreException>(() => stranger.CountAsync(Queue, Cancellation).AsTask());
        }

        Assert.Equal(["/hidden"], await ReadPathsAsync(Open(connectionString)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(" ")]
    [InlineData("Filename=:memory:")]
    [InlineData("Filename=q.db;Connection=shared")]
    [InlineData("Filename=q.db;ReadOnly=true")]
    public void A_connection_string_that_cannot_be_kept_to_is_refused(string? connectionString) =>
        Assert.Throws<ArgumentException>(() =>
            new LiteDBQueueStore(new LiteDBStoreOptions { ConnectionString = connectionString }, Clock, Logger));

    private static int CountChunks(LiteDBQueueStore store) => store.RunAsync(
        static session => session.Keys(LiteSchema.Chunks, LiteIndex.Id, long.MinValue, long.MaxValue).Count,
        CancellationToken.None).GetAwaiter().GetResult();
}

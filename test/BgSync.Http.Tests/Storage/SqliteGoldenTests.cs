using System.Net;
using System.Text;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>
/// A file of each released format, read as it was written. The files are never made anew: what an older version of the library has
/// left on a disk does not change either.
/// </summary>
public sealed class SqliteGoldenTests : SqliteStoreFixture
{
    private const string Second = "second";

    private const string Third = "third";

    private static readonly DateTimeOffset _start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly FailedAttempt[] _historyOfFirst = [new(_start + TimeSpan.FromSeconds(3), 422, "HTTP 422")];

    [Fact]
    public async Task Version_1_is_read_back_exactly()
    {
        var store = OpenCopyOf("v1.db");

        var letter = await AssertFirstQueueAsync(store);

        Assert.Empty(letter.History);
    }

    [Fact]
    public async Task Version_2_is_read_back_exactly()
    {
        var store = OpenCopyOf("v2.db");

        Assert.Equal(_historyOfFirst, (await AssertFirstQueueAsync(store)).History);
        await AssertSecondQueueAsync(store);
    }

    [Fact]
    public async Task Version_3_is_read_back_exactly()
    {
        var store = OpenCopyOf("v3.db");

        Assert.Equal(_historyOfFirst, (await AssertFirstQueueAsync(store)).History);
        await AssertSecondQueueAsync(store);

        // The process that was sending two together is gone.
        Assert.Equal(1, (await store.ReclaimAsync(Cancellation)).Leases);
        var leased = Assert.Single(await store.LeaseAsync(Third, Origin, 10, LeaseTime, Cancellation));
        Assert.Equal(("/second", 1), (leased.Entry!.Request.Uri.AbsolutePath, leased.Entry.Attempts));
        var entries = await store.ReadAsync(Third, QueueEnd.Front, Cancellation).ToListAsync(Cancellation);
        Assert.Equal([true, false], entries.Select(static entry => entry.IsLeased));
    }

    [Fact]
    public async Task Version_1_is_replayed_in_order()
    {
        Clock.Advance(TimeSpan.FromHours(1));
        var store = OpenCopyOf("v1.db");

        var replayed = new List<long>();
        while (await store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation) is [{ } leased])
        {
            replayed.Add(leased.Lease.EntryId);
            Assert.True(leased.IsReadable);
            Assert.True(await store.CompleteAsync(leased.Lease, null, Cancellation));
        }

        Assert.Equal([4, 1, 3], replayed.Where(id => id != 2));
        Assert.Contains(2, replayed);
        Assert.True(await store.RequeueAsync(Queue, 5, DateTimeOffset.MaxValue, Cancellation));
        Assert.Equal(5, (await LeaseOneAsync(store)).Lease.EntryId);
        Assert.True((await store.AddAsync(Entry(), Cancellation)).Id > 5);
    }

    [Fact]
    public async Task Version_1_is_recovered_where_damage_keeps_it_from_being_migrated()
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Storage", "Golden", "v1.db"), DatabasePath);
        var root = (int)Scalar("SELECT rootpage FROM sqlite_master WHERE name = 'lane'");
        var bytes = await File.ReadAllBytesAsync(DatabasePath, Cancellation);
        bytes.AsSpan((root - 1) * 1024, 16).Fill(0xFF);
        await File.WriteAllBytesAsync(DatabasePath, bytes, Cancellation);
        var store = Open();

        var entries = await store.ReadAsync(Queue, QueueEnd.Front, Cancellation).ToListAsync(Cancellation);

        Assert.Equal([4, 1, 2, 3], entries.Select(entry => entry.Id));
        Assert.Equal(new QueueCounts(4, 1, 10 + 3000), await store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task Write_the_file_of_this_version()
    {
        var target = Environment.GetEnvironmentVariable("BGSYNC_WRITE_GOLDEN");
        Assert.SkipWhen(string.IsNullOrEmpty(target), "Writes a golden file to the path in BGSYNC_WRITE_GOLDEN, when the format changes.");
        Assert.Equal(_start, Clock.GetUtcNow());
        await using (var store = Open())
        {
            await WriteAsync(store);
        }

        using var connection = Connect();
        using var vacuum = connection.CreateCommand();
        // Small pages make a small file of many small tables.
        vacuum.CommandText = "PRAGMA page_size = 1024; VACUUM INTO $path";
        vacuum.Parameters.Add(new SqliteParameter("$path", target));
        vacuum.ExecuteNonQuery();
    }

    private async Task WriteAsync(SqliteQueueStore store)
    {
        await store.AddAsync(
            new NewEntry
            {
                Queue = Queue,
                Lane = "photos",
                Request = new RequestSnapshot
                {
                    Method = HttpMethod.Put,
                    Uri = new Uri("https://api.example.com/full?q=%C3%A9"),
                    Version = HttpVersion.Version20,
                    VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                    Headers = [new("X-Many", "one"), new("Idempotency-Key", "\"k-1\""), new("X-Many", "two é")],
                    ContentHeaders = [new("Content-Type", "text/plain")],
                },
                Body = EntryBody.FromBytes("small body"u8.ToArray()),
                Timestamp = _start - TimeSpan.FromMilliseconds(1500),
                ExpiresAt = _start + TimeSpan.FromDays(7),
                Attempts = 1,
                LastError = "timed out",
                Metadata = new Dictionary<string, string> { ["album"] = "été", ["n"] = "1" },
                TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            },
            Cancellation);
        await store.AddAsync(Entry("/plain", "orders"), Cancellation);
        await using (var body = await store.BeginBodyAsync(Cancellation))
        {
            foreach (var chunk in ChunkedBody().Chunk(1000))
            {
                await body.WriteAsync(chunk, Cancellation);
            }

            var request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(Origin + "/chunked"), ContentHeaders = [] };
            await store.AddAsync(Entry(lane: "photos") with { Request = request, Body = EntryBody.FromWriter(body) }, Cancellation);
        }

        Clock.Advance(TimeSpan.FromSeconds(1));
        await store.AddAsync(Entry("/unshifted", "photos") with { End = QueueEnd.Front, Delay = TimeSpan.FromMinutes(1) }, Cancellation);
        await store.AddAsync(Entry("/dead", "dead") with { Timestamp = _start, Attempts = 1 }, Cancellation);
        Clock.Advance(TimeSpan.FromSeconds(2));
        foreach (var leased in await store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation))
        {
            if (leased.Lease.EntryId == 5)
            {
                await store.SettleAsync(leased.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, "HTTP 422", 422), Cancellation);
            }
            else
            {
                await store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: false), Cancellation);
            }
        }

        await store.SetPauseAsync(
            "paused", new QueuePause(PauseCause.Credentials, "401 Unauthorized", Clock.GetUtcNow()), Cancellation);
        await WriteSecondQueueAsync(store);
        await WriteThirdQueueAsync(store);
    }

    private async Task WriteSecondQueueAsync(SqliteQueueStore store)
    {
        NewEntry New(string path) => Entry(path, path) with { Queue = Second };
        await store.AddAsync(New("/high") with { Priority = EntryPriority.High, CoalesceKey = "key" }, Cancellation);
        await store.AddAsync(New("/waits") with { Prerequisite = 6 }, Cancellation);
        await store.AddAsync(New("/delivered"), Cancellation);
        await store.AddAsync(New("/dead"), Cancellation);
        await store.BeginWriteAheadAsync(New("/held"), isRepeatable: true, Cancellation);
        var delivered = await store.LeaseLaneAsync(Second, "/delivered", LeaseTime, Cancellation);
        await store.CompleteAsync(delivered!.Lease, new Settlement.Delivered(201, Response(201, "yes", isWhole: true)), Cancellation);
        var failed = await store.LeaseLaneAsync(Second, "/dead", LeaseTime, Cancellation);
        await store.SettleAsync(failed!.Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 503", StatusCode: 503), Cancellation);
        var dead = await store.LeaseLaneAsync(Second, "/dead", LeaseTime, Cancellation);
        await store.SettleAsync(
            dead!.Lease,
            new Settlement.DeadLettered(DeadLetterCause.Rejected, "HTTP 422", 422, Response(422, "no", isWhole: false)),
            Cancellation);
    }

    private async Task WriteThirdQueueAsync(SqliteQueueStore store)
    {
        foreach (var path in (string[])["/first", "/second", "/third"])
        {
            await store.AddAsync(Entry(path) with { Queue = Third }, Cancellation);
        }

        var first = Assert.Single(await store.LeaseAsync(Third, Origin, 1, LeaseTime, Cancellation));
        var together = new NextLease(Origin, 2, long.MaxValue, LeaseTime);
        Assert.Equal(2, (await store.SettleAsync([new(first.Lease, null)], together, Cancellation)).Next.Count);
    }

    private static StoredResponse Response(int status, string body, bool isWhole) =>
        new(status, [new("ETag", "\"1\""), new("Content-Type", "text/plain")], Encoding.UTF8.GetBytes(body), isWhole);

    /// <summary>The content of the files since version 2.</summary>
    private static async Task AssertSecondQueueAsync(SqliteQueueStore store)
    {
        // The process that held the last of them is gone.
        var entries = await store.ReadAsync(Second, QueueEnd.Front, Cancellation).ToListAsync(Cancellation);
        Assert.Equal(["/high", "/waits", "/held"], entries.Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal((6, EntryPriority.High, "key"), (entries[0].Id, entries[0].Priority, entries[0].CoalesceKey));
        Assert.Equal((7, 6, null), (entries[1].Id, entries[1].Prerequisite, entries[1].DueAt));
        Assert.Equal((1, ReclaimedWork.Interrupted), (entries[2].Attempts, entries[2].LastError));
        Assert.Equal(6, (await store.FindLastAsync(Second, "key", Cancellation))!.Id);

        var letter = Assert.Single(await store.ReadDeadLettersAsync(Second, Cancellation).ToListAsync(Cancellation));
        Assert.Equal((9, DeadLetterCause.Rejected, 422), (letter.Id, letter.Cause, letter.StatusCode));
        AssertResponse(422, "no", isWhole: false, letter.Response);
        Assert.Equal(
            [new(_start + TimeSpan.FromSeconds(3), 503, "HTTP 503"), new(_start + TimeSpan.FromSeconds(3), 422, "HTTP 422")],
            letter.History);

        var delivered = await store.GetReceiptAsync(Second, 8, Cancellation);
        Assert.Equal(
            (ReceiptState.Delivered, 201, _start + TimeSpan.FromSeconds(3)), (delivered!.State, delivered.StatusCode, delivered.At));
        AssertResponse(201, "yes", isWhole: true, delivered.Response);
        Assert.Equal(ReceiptState.DeadLettered, (await store.GetReceiptAsync(Second, 9, Cancellation))!.State);
    }

    /// <summary>The content of the files of all versions.</summary>
    private static async Task<DeadLetter> AssertFirstQueueAsync(SqliteQueueStore store)
    {
        var entries = await store.ReadAsync(Queue, QueueEnd.Front, Cancellation).ToListAsync(Cancellation);

        Assert.Equal([4, 1, 2, 3], entries.Select(entry => entry.Id));
        AssertUnshifted(entries[0]);
        AssertFull(entries[1]);
        AssertPlain(entries[2], 2, "/plain");
        AssertChunked(entries[3]);
        Assert.Equal("small body"u8.ToArray(), await ReadBodyAsync(store, 1));
        Assert.Equal(ChunkedBody(), await ReadBodyAsync(store, 3));
        Assert.Empty(await ReadBodyAsync(store, 4));

        var letter = Assert.Single(await store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation));
        Assert.Equal(5, letter.Id);
        Assert.Equal(Queue, letter.Queue);
        Assert.Equal(DeadLetterCause.Rejected, letter.Cause);
        Assert.Equal("HTTP 422", letter.Error);
        Assert.Equal(422, letter.StatusCode);
        Assert.Equal(_start + TimeSpan.FromSeconds(3), letter.DeadLetteredAt);
        AssertPlain(letter.Entry! with { Attempts = 0 }, 5, "/dead");
        Assert.Equal(1, letter.Entry!.Attempts);
        Assert.All(entries.Append(letter.Entry), entry => Assert.Equal(EntryPriority.Normal, entry.Priority));

        Assert.Equal(new QueueCounts(4, 1, 10 + 3000), await store.CountAsync(Queue, Cancellation));
        Assert.Null(await store.GetPauseAsync(Queue, Cancellation));
        Assert.Equal(
            new QueuePause(PauseCause.Credentials, "401 Unauthorized", _start + TimeSpan.FromSeconds(3)),
            await store.GetPauseAsync("paused", Cancellation));
        return letter;
    }

    private SqliteQueueStore OpenCopyOf(string golden)
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Storage", "Golden", golden), DatabasePath);
        return Open();
    }

    private static void AssertResponse(int status, string body, bool isWhole, StoredResponse? response)
    {
        Assert.Equal((status, isWhole), (response!.StatusCode, response.IsWhole));
        Assert.Equal([new("ETag", "\"1\""), new("Content-Type", "text/plain")], response.Headers);
        Assert.Equal(body, Encoding.UTF8.GetString(response.Body.Span));
    }

    private static void AssertFull(QueuedEntry entry)
    {
        Assert.Equal(Queue, entry.Queue);
        Assert.Equal("photos", entry.Lane);
        Assert.Equal(HttpMethod.Put, entry.Request.Method);
        Assert.Equal("https://api.example.com/full?q=%C3%A9", entry.Request.Uri.OriginalString);
        Assert.Equal(new Version(2, 0), entry.Request.Version);
        Assert.Equal(HttpVersionPolicy.RequestVersionExact, entry.Request.VersionPolicy);
        Assert.Equal([new("X-Many", "one"), new("Idempotency-Key", "\"k-1\""), new("X-Many", "two é")], entry.Request.Headers);
        Assert.Equal([new("Content-Type", "text/plain")], entry.Request.ContentHeaders);
        Assert.Equal(10, entry.BodyLength);
        Assert.Equal(_start - TimeSpan.FromMilliseconds(1500), entry.Timestamp);
        Assert.Equal(_start + TimeSpan.FromDays(7), entry.ExpiresAt);
        Assert.Equal(1, entry.Attempts);
        Assert.Equal("timed out", entry.LastError);
        Assert.Equal(new Dictionary<string, string> { ["album"] = "été", ["n"] = "1" }, entry.Metadata);
        Assert.Equal("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", entry.TraceParent);
        Assert.Null(entry.DueAt);
    }

    private static void AssertPlain(QueuedEntry entry, long id, string path)
    {
        Assert.Equal(id, entry.Id);
        Assert.Equal(HttpMethod.Post, entry.Request.Method);
        Assert.Equal(Origin + path, entry.Request.Uri.OriginalString);
        Assert.Equal(new Version(1, 1), entry.Request.Version);
        Assert.Equal(HttpVersionPolicy.RequestVersionOrLower, entry.Request.VersionPolicy);
        Assert.Empty(entry.Request.Headers);
        Assert.Null(entry.Request.ContentHeaders);
        Assert.Equal(0, entry.BodyLength);
        Assert.Equal(_start, entry.Timestamp);
        Assert.Equal(DateTimeOffset.MaxValue, entry.ExpiresAt);
        Assert.Equal(0, entry.Attempts);
        Assert.Null(entry.LastError);
        Assert.Empty(entry.Metadata);
        Assert.Null(entry.TraceParent);
        Assert.False(entry.IsLeased);
    }

    private static void AssertChunked(QueuedEntry entry)
    {
        Assert.Equal("photos", entry.Lane);
        Assert.Equal(Origin + "/chunked", entry.Request.Uri.OriginalString);
        Assert.Equal([], entry.Request.ContentHeaders);
        Assert.Equal(3000, entry.BodyLength);
    }

    private static void AssertUnshifted(QueuedEntry entry)
    {
        Assert.Equal("photos", entry.Lane);
        Assert.Equal(Origin + "/unshifted", entry.Request.Uri.OriginalString);
        Assert.Equal(_start + TimeSpan.FromSeconds(1), entry.Timestamp);
        Assert.Equal(_start + TimeSpan.FromSeconds(61), entry.DueAt);
    }

    private static byte[] ChunkedBody() => [.. Enumerable.Range(0, 3000).Select(i => (byte)(i * 7))];

    private static async Task<byte[]> ReadBodyAsync(SqliteQueueStore store, long id)
    {
        using var bytes = new MemoryStream();
        await using var body = await store.OpenBodyAsync(Queue, id, Cancellation);
        await body!.CopyToAsync(bytes, Cancellation);
        return bytes.ToArray();
    }
}

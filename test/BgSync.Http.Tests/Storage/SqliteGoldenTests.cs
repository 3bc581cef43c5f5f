using System.Net;
using BgSync.Http.Requests;
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
    private static readonly DateTimeOffset _start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Version_1_is_read_back_exactly()
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Storage", "Golden", "v1.db"), DatabasePath);
        var store = Open();

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
        Assert.Equal(DeadLetterReason.Rejected, letter.Reason);
        Assert.Equal("HTTP 422", letter.Error);
        Assert.Equal(422, letter.StatusCode);
        Assert.Equal(_start + TimeSpan.FromSeconds(3), letter.DiedAt);
        AssertPlain(letter.Entry! with { Attempts = 0 }, 5, "/dead");
        Assert.Equal(1, letter.Entry!.Attempts);
        Assert.Empty(letter.History);
        Assert.All(entries.Append(letter.Entry), entry => Assert.Equal(EntryPriority.Normal, entry.Priority));

        Assert.Equal(new QueueCounts(4, 1, 10 + 3000), await store.CountAsync(Queue, Cancellation));
        Assert.Null(await store.GetPauseAsync(Queue, Cancellation));
        Assert.Equal(
            new QueuePause(PauseCause.Credentials, "401 Unauthorized", _start + TimeSpan.FromSeconds(3)),
            await store.GetPauseAsync("paused", Cancellation));
    }

    [Fact]
    public async Task Version_1_is_replayed_in_order()
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Storage", "Golden", "v1.db"), DatabasePath);
        Clock.Advance(TimeSpan.FromHours(1));
        var store = Open();

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
                await store.BuryAsync(leased.Lease, new DeathCertificate(DeadLetterReason.Rejected, "HTTP 422", 422), Cancellation);
            }
            else
            {
                await store.RescheduleAsync(leased.Lease, new Retry(TimeSpan.Zero, CountsAsAttempt: false), Cancellation);
            }
        }

        await store.SetPauseAsync(
            "paused", new QueuePause(PauseCause.Credentials, "401 Unauthorized", Clock.GetUtcNow()), Cancellation);
    }

    private static void AssertFull(StoredEntry entry)
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

    private static void AssertPlain(StoredEntry entry, long id, string path)
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

    private static void AssertChunked(StoredEntry entry)
    {
        Assert.Equal("photos", entry.Lane);
        Assert.Equal(Origin + "/chunked", entry.Request.Uri.OriginalString);
        Assert.Equal([], entry.Request.ContentHeaders);
        Assert.Equal(3000, entry.BodyLength);
    }

    private static void AssertUnshifted(StoredEntry entry)
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

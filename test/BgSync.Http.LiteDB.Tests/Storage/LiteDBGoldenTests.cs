using System.Text;
using BgSync.Http.LiteDB.Files;
using LiteDB;
using LiteDB.Engine;
using TestKit;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

/// <summary>The documents of a released version are read for ever; a file of a later version is left alone.</summary>
public sealed class LiteDBGoldenTests : LiteDBStoreFixture
{
    [Fact]
    public async Task Version_1_is_read_and_goes_on()
    {
        WriteVersion1(LiteHeader.ToUserVersion(1));
        var store = Open();

        var entries = await ReadAllAsync(store);

        Assert.Equal(["/a", "/b", "/held"], entries.Select(static entry => entry.Request.Uri.AbsolutePath));
        var entry = entries[0];
        Assert.Equal((3, "a", "busy", 2, "k"), (entry.Id, entry.Lane, entry.LastError, entry.Attempts, entry.CoalesceKey));
        Assert.Equal([new("X-A", "1"), new("X-A", "2")], entry.Request.Headers);
        Assert.Equal("photo", entry.Metadata["kind"]);
        Assert.Equal(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), entry.Timestamp);
        Assert.Equal((3L, entry.Timestamp.AddDays(7)), (entries[1].Prerequisite, entries[1].ExpiresAt));
        Assert.Equal(503, Assert.Single(await store.GetHistoryAsync(Queue, 3, Cancellation)).StatusCode);
        Assert.Equal(new QueueCounts(3, 1, 5), await store.CountAsync(Queue, Cancellation));
        var letter = Assert.Single(await store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation));
        Assert.Equal((2, DeadLetterCause.Rejected, 400), (letter.Id, letter.Cause, letter.StatusCode));
        Assert.Equal("/dead", letter.Entry!.Request.Uri.AbsolutePath);
        Assert.Equal("no", Encoding.UTF8.GetString(letter.Response!.Body.Span));
        Assert.Equal(ReceiptState.Delivered, (await store.GetReceiptAsync(Queue, 1, Cancellation))!.State);
        Assert.Equal("later", (await store.GetPauseAsync(Queue, Cancellation))!.Reason);
        Assert.Equal(3, (await store.FindLastAsync(Queue, "k", Cancellation))!.Id);

        var work = await store.ReclaimAsync(Cancellation);
        Assert.Equal((1, "/held"), (work.Leases, Assert.Single(work.Entries).Request.Uri.AbsolutePath));
        Assert.Equal(7, (await store.AddAsync(Entry(), Cancellation)).Id);
        Assert.Equal(3, (await LeaseOneAsync(store)).Lease.EntryId);
    }

    [Fact]
    public async Task A_later_version_is_left_as_it_is()
    {
        WriteVersion1(LiteHeader.ToUserVersion(2));
        var before = await File.ReadAllBytesAsync(DatabasePath, Cancellation);

        await AssertFaultAsync(StoreFault.NotAStore, () => Open().CountAsync(Queue, Cancellation).AsTask());

        Assert.Equal(before, await File.ReadAllBytesAsync(DatabasePath, Cancellation));
    }

    // A line for each document, after one for its collection with its indexes.
    private void WriteVersion1(int userVersion)
    {
        using var engine = new LiteEngine(new EngineSettings { Filename = DatabasePath, Collation = Collation.Binary });
        engine.Pragma("USER_VERSION", userVersion);
        var collection = "";
        foreach (var line in SourceTree.Read("test/BgSync.Http.LiteDB.Tests/Storage/Golden/version1.txt").Split('\n'))
        {
            if (line.StartsWith("== ", StringComparison.Ordinal))
            {
                var parts = line[3..].Split(' ');
                collection = parts[0];
                foreach (var index in parts[1..])
                {
                    engine.EnsureIndex(collection, index.Split('=')[0], index.Split('=')[1], unique: false);
                }
            }
            else if (line.Length > 0)
            {
                engine.Insert(collection, [JsonSerializer.Deserialize(line).AsDocument], BsonAutoId.Int64);
            }
        }
    }
}

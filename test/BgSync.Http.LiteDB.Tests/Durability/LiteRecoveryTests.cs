using BgSync.Http.LiteDB.Files;
using BgSync.Http.LiteDB.TestApp;
using Microsoft.Extensions.Logging;
using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Durability;

/// <summary>A damaged file is moved aside whole, and what can be read of it is recovered.</summary>
public sealed class LiteRecoveryTests(ITestOutputHelper output) : NoteStoreFixture
{
    private const int Notes = 200;

    [Theory]
    [InlineData(null)]
    [InlineData("a password")]
    public async Task A_file_whose_pages_are_damaged_is_moved_aside_and_what_can_be_read_is_recovered(string? password)
    {
        var rounds = TrialRounds.Of(shortRun: 12, fullRun: 200);
        await FillAsync(1, Notes, password);
        var whole = await File.ReadAllBytesAsync(NotesPath);
        var pages = whole.Length / LitePage.Size;
        var recoveries = 0;
        for (var round = 0; round < rounds; round++)
        {
            // The first page says whose the file is; without it the file is refused, as a file of nobody.
            var random = new Random(round);
            var damaged = whole.ToArray();
            var first = password is null ? 1 : 2;
            for (var i = random.Next(1, 10); i > 0; i--)
            {
                random.NextBytes(damaged.AsSpan(random.Next(first, pages) * LitePage.Size, LitePage.Size));
            }

            await File.WriteAllBytesAsync(NotesPath, damaged);
            var logger = new RecordingLogger<LiteRecoveryTests>();
            SortedSet<long> found;
            using (var store = new NoteStore(NotesPath, password, logger))
            {
                found = await ReadWhenRecoveredAsync(store);
                await store.AddAsync(Notes + 1);
                await store.DeleteAsync(Notes + 1);
                Assert.Equal(found, await store.ReadAllAsync());
            }

            // A page of documents holds a few of them; a large one takes four pages.
            Assert.Subset(Ids(1, Notes), found);
            Assert.InRange(found.Count, Notes / 2, Notes);
            var aside = Directory.GetFiles(Folder, "*.corrupt-*");
            if (aside.Length > 0)
            {
                Assert.Contains(logger.Records, record => record is { Level: LogLevel.Error, Event.Id: 4101 });
                Assert.Equal(damaged.Length, (await File.ReadAllBytesAsync(Assert.Single(aside))).Length);
                File.Delete(aside[0]);
                recoveries++;
            }
        }

        Assert.InRange(recoveries, 1, rounds);
        output.WriteLine($"{recoveries} of {rounds} damaged files were moved aside; the others did not notice their damage.");
    }

    [Fact]
    public async Task What_is_in_the_log_is_recovered_too()
    {
        var record = new DiskRecord();
        using (var database = new LiteDatabase(
            NotesPath, null, new NoteSchema(), TimeProvider.System, new RecordingLogger<LiteRecoveryTests>(), record.Open))
        {
            using var session = database.Open();
            session.Begin();
            foreach (var id in Ids(1, 50))
            {
                NoteSchema.Add(session, Note.Of(id));
            }

            session.Commit();

            // As a crash leaves them.
            record.CutPower(record.Length, new Random(0), Directory.CreateDirectory(Path.Combine(Folder, "crashed")).FullName);
        }

        var path = Path.Combine(Folder, "crashed", "notes.db");
        await DamageIndexesAsync(LiteFiles.LogPath(path));
        using var store = new NoteStore(path);

        Assert.Equal(Ids(1, 50), await ReadWhenRecoveredAsync(store));
        Assert.Single(Directory.GetFiles(Path.Combine(Folder, "crashed"), "notes.db.corrupt-*"));
    }

    [Fact]
    public async Task A_recovery_that_was_cut_short_between_the_moves_is_ended()
    {
        await FillAsync(1, 10);
        File.Move(NotesPath, NotesPath + ".recovered");

        using var store = Open();
        Assert.Equal(Ids(1, 10), await store.ReadAllAsync());
    }

    [Fact]
    public async Task What_a_recovery_that_was_cut_short_has_gathered_is_thrown_away()
    {
        await FillAsync(1, 10);
        await File.WriteAllBytesAsync(NotesPath + ".recovered", new byte[100_000]);
        await DamageIndexesAsync(NotesPath);

        using var store = Open();
        Assert.Equal(Ids(1, 10), await ReadWhenRecoveredAsync(store));
        Assert.False(File.Exists(NotesPath + ".recovered"));
    }

    // Damage is found when it is met: the call that meets it is told, and the next one recovers.
    private static async Task<SortedSet<long>> ReadWhenRecoveredAsync(NoteStore store)
    {
        while (true)
        {
            try
            {
                return await store.ReadAllAsync();
            }
            catch (QueueStoreException exception) when (exception.Fault == StoreFault.Corrupt)
            {
            }
            catch (InvalidDataException exception)
            {
                // Damage that LiteDB does not notice: a store knows its own documents.
                try
                {
                    await store.RunAsync(_ => throw new LiteDamageException(exception));
                }
                catch (QueueStoreException)
                {
                }
            }
        }
    }

    private static async Task DamageIndexesAsync(string path)
    {
        var bytes = await File.ReadAllBytesAsync(path);
        for (var position = 0; position < bytes.Length; position += LitePage.Size)
        {
            if (LitePage.TypeOf(bytes.AsSpan(position)) == 3)
            {
                bytes.AsSpan(position + 32, LitePage.Size - 32).Fill(0xEE);
            }
        }

        await File.WriteAllBytesAsync(path, bytes);
    }
}

using BgSync.Http.LiteDB.Files;
using BgSync.Http.LiteDB.TestApp;
using LiteDB;
using TestKit.Trials;
using Xunit;
using LiteDatabaseOfOthers = LiteDB.LiteDatabase;

namespace BgSync.Http.LiteDB.Tests.Durability;

/// <summary>Faults of a file, done to a real one.</summary>
public sealed class LiteFaultTests : NoteStoreFixture
{
    [Fact]
    public async Task A_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space()
    {
        var mount = Directory.CreateDirectory(Path.Combine(Folder, "small")).FullName;
        RunOrSkip("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount);
        try
        {
            using var store = new NoteStore(Path.Combine(mount, "notes.db"));
            var added = new SortedSet<long>();
            var exception = await AssertFaultAsync(StoreFault.Full, async () =>
            {
                for (var id = 1L; ; id++)
                {
                    await store.AddAsync(id);
                    added.Add(id);
                }
            });

            Assert.Contains("No space is left", exception.Message, StringComparison.Ordinal);
            Assert.NotEmpty(added);

            RunOrSkip("mount", "-o", "remount,size=32m", mount);
            Assert.Equal(added, await store.ReadAllAsync());
            await store.AddAsync(1_000);
            added.Add(1_000);
            Assert.Equal(added, await store.ReadAllAsync());
        }
        finally
        {
            Run("umount", mount);
        }
    }

    [Fact]
    public async Task A_checkpoint_that_finds_no_space_leaves_the_store_in_use()
    {
        var mount = Directory.CreateDirectory(Path.Combine(Folder, "small")).FullName;
        RunOrSkip("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount);
        try
        {
            using var database = new LiteDatabase(
                Path.Combine(mount, "notes.db"),
                null,
                new NoteSchema(),
                TimeProvider.System,
                Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
            using (var session = database.Open())
            {
                var id = 0L;
                while (new DriveInfo(mount).AvailableFreeSpace > 500_000)
                {
                    session.Begin();
                    NoteSchema.Add(session, Note.Of(++id));
                    session.Commit();
                }

                File.WriteAllBytes(Path.Combine(mount, "other"), new byte[new DriveInfo(mount).AvailableFreeSpace - 100_000]);
                Assert.Throws<IOException>(session.Checkpoint);
                Assert.Equal(Ids(1, (int)id), NoteSchema.ReadAll(session));

                File.Delete(Path.Combine(mount, "other"));
                RunOrSkip("mount", "-o", "remount,size=32m", mount);
                session.Checkpoint();
                Assert.Equal(Ids(1, (int)id), NoteSchema.ReadAll(session));
            }
        }
        finally
        {
            Run("umount", mount);
        }
    }

    [Fact]
    public void A_checkpoint_follows_a_transaction_that_was_rolled_back()
    {
        using (var database = new LiteDatabase(
            NotesPath, null, new NoteSchema(), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance))
        {
            using var session = database.Open();
            session.Begin();
            NoteSchema.Add(session, Note.Of(1));
            session.Commit();

            // Pages that are new in it are given back, for which LiteDB writes to its log.
            session.Begin();
            session.Insert("other", new BsonDocument { ["_id"] = 1L, ["bytes"] = new byte[50_000] });
            Assert.True(session.TryRollBack());
            session.Checkpoint();

            session.Begin();
            NoteSchema.Add(session, Note.Of(2));
            session.Commit();
            Assert.Equal(Ids(1, 2), NoteSchema.ReadAll(session));
        }

        using var again = new LiteDatabase(
            NotesPath, null, new NoteSchema(), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        using var reopened = again.Open();
        Assert.Equal(Ids(1, 2), NoteSchema.ReadAll(reopened));
    }

    [Fact]
    public async Task A_read_only_file_is_told_and_used_again_once_it_may_be_written()
    {
        await FillAsync(1, 5);
        RunOrSkip("chattr", "+i", NotesPath);
        using var store = Open();
        try
        {
            await AssertFaultAsync(StoreFault.ReadOnly, () => store.AddAsync(6));
        }
        finally
        {
            Run("chattr", "-i", NotesPath);
        }

        await store.AddAsync(6);
        Assert.Equal(Ids(1, 6), await store.ReadAllAsync());
    }

    [Fact]
    public async Task A_second_store_on_the_file_is_refused_until_the_first_is_closed()
    {
        using var second = Open();
        using (var first = Open())
        {
            await first.AddAsync(1);
            var exception = await AssertFaultAsync(StoreFault.Locked, () => second.AddAsync(2));
            Assert.Contains("is open already", exception.Message, StringComparison.Ordinal);
            await first.AddAsync(3);
        }

        await second.AddAsync(2);
        Assert.Equal(Ids(1, 3), await second.ReadAllAsync());
    }

    [Fact]
    public async Task A_second_process_is_refused()
    {
        await using var process = TrialProcess.Start("BgSync.Http.LiteDB.TestApp.dll", "notes", NotesPath, "-", "1", "1");
        await process.WaitAsync(() => process.Said("added").Count > 0, TimeSpan.FromSeconds(60), "its first note");

        using var store = Open();
        await AssertFaultAsync(StoreFault.Locked, () => store.AddAsync(1_000_000));

        await process.KillAsync();
        await store.AddAsync(1_000_000);
    }

    [Theory]
    [InlineData("Dear diary, nothing happened today.")]
    [InlineData("")]
    public async Task What_is_no_database_is_refused_and_left_as_it_is(string start)
    {
        var bytes = new byte[40_000];
        System.Text.Encoding.UTF8.GetBytes(start).CopyTo(bytes, 0);
        await AssertRefusedAsync(bytes, null, "is not a LiteDB file of this library");
        await AssertRefusedAsync(bytes, "a password", "is not encrypted");
    }

    [Fact]
    public async Task The_database_of_another_application_is_refused_and_left_as_it_is()
    {
        using (var other = new LiteDatabaseOfOthers(NotesPath))
        {
            other.GetCollection("notes").Insert(new BsonDocument { ["text"] = "mine" });
        }

        await AssertRefusedAsync(await File.ReadAllBytesAsync(NotesPath), null, "of another application");
    }

    [Fact]
    public async Task A_later_version_is_refused_and_left_as_it_is()
    {
        using (var later = new NoteStore(NotesPath, version: 2))
        {
            await later.AddAsync(1);
        }

        await AssertRefusedAsync(await File.ReadAllBytesAsync(NotesPath), null, "later version");
    }

    [Fact]
    public async Task An_encrypted_file_is_readable_with_its_password_only()
    {
        await FillAsync(1, 20, "right");
        var bytes = await File.ReadAllBytesAsync(NotesPath);
        await AssertRefusedAsync(bytes, "wrong", "has another password");
        await AssertRefusedAsync(bytes, null, "is encrypted");
        using var store = Open("right");
        Assert.Equal(Ids(1, 20), await store.ReadAllAsync());
        Assert.Equal(-1, bytes.AsSpan().IndexOf(Note.Of(1).Text.AsSpan(0, 16)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("a password")]
    public async Task The_file_opens_in_LiteDB_itself(string? password)
    {
        await FillAsync(1, 20, password);
        using (var other = new LiteDatabaseOfOthers(new ConnectionString { Filename = NotesPath, Password = password }))
        {
            Assert.Equal(20, other.GetCollection(NoteSchema.Notes).Count());
            other.GetCollection(NoteSchema.Notes).Update(Note.Of(20).ToDocument());
        }

        using var store = Open(password);
        Assert.Equal(Ids(1, 20), await store.ReadAllAsync());
    }

    [Fact]
    public async Task A_log_that_LiteDB_itself_has_left_is_read()
    {
        await FillAsync(1, 20);
        using (var other = new LiteDatabaseOfOthers(NotesPath))
        {
            other.GetCollection(NoteSchema.Notes).Update(Note.Of(20).ToDocument());
        }

        Assert.True(File.Exists(LiteFiles.LogPath(NotesPath)));
        using var store = Open();
        Assert.Equal(Ids(1, 20), await store.ReadAllAsync());
    }

    [Fact]
    public async Task A_log_that_begins_with_page_1_is_not_taken_for_an_encrypted_one()
    {
        await FillAsync(1, 10);

        // As a process leaves it that is killed when it has written that much.
        File.WriteAllBytes(LiteFiles.LogPath(NotesPath), File.ReadAllBytes(NotesPath)[LitePage.Size..(2 * LitePage.Size)]);

        using var store = Open();
        Assert.Equal(Ids(1, 10), await store.ReadAllAsync());
    }

    [Fact]
    public async Task An_operation_that_fails_takes_nothing_of_the_others_with_it()
    {
        using var store = Open();
        await store.AddAsync(1);
        var adds = Ids(2, 40).Select(id => store.AddAsync(id)).ToList();
        var twice = store.AddAsync(1);

        await AssertFaultAsync(StoreFault.Unavailable, () => twice);
        await Task.WhenAll(adds);
        Assert.Equal(Ids(1, 40), await store.ReadAllAsync());
    }

    [Fact]
    public async Task Only_the_account_itself_can_read_the_files()
    {
        using var store = Open();
        await store.AddAsync(1);
        foreach (var path in Directory.GetFiles(Folder))
        {
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            }
        }
    }

    [Fact]
    public async Task Nothing_but_the_data_file_is_left_when_the_store_is_closed()
    {
        await FillAsync(1, 20);
        Assert.Equal([NotesPath], Directory.GetFileSystemEntries(Folder));
    }

    private async Task AssertRefusedAsync(byte[] bytes, string? password, string why)
    {
        await File.WriteAllBytesAsync(NotesPath, bytes);
        using (var store = Open(password))
        {
            var exception = await AssertFaultAsync(StoreFault.NotAStore, () => store.AddAsync(1));
            Assert.Contains(why, exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal(bytes, await File.ReadAllBytesAsync(NotesPath));
        Assert.Equal([NotesPath], Directory.GetFileSystemEntries(Folder));
    }
}

using System.Diagnostics;
using System.Globalization;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>Faults of a file, done to a real one.</summary>
public sealed class SqliteFaultTests : SqliteStoreFixture
{
    [Fact]
    public async Task A_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space()
    {
        var mount = Directory.File("small");
        System.IO.Directory.CreateDirectory(mount);
        RunOrSkip("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount);
        try
        {
            await using var store = Open(Path.Combine(mount, "queues.db"));
            var queued = new List<string>();
            var exception = await AssertFaultAsync(StoreFault.Full, async () =>
            {
                while (true)
                {
                    var path = "/" + queued.Count.ToString(CultureInfo.InvariantCulture);
                    await store.AddAsync(Entry(path) with { Body = EntryBody.FromBytes(new byte[20_000]) }, Cancellation);
                    queued.Add(path);
                }
            });

            Assert.Contains("No space is left", exception.Message, StringComparison.Ordinal);
            Assert.NotEmpty(queued);
            Assert.Equal(queued, await ReadPathsAsync(store));

            RunOrSkip("mount", "-o", "remount,size=8m", mount);
            await store.AddAsync(Entry("/more"), Cancellation);
            Assert.Equal([.. queued, "/more"], await ReadPathsAsync(store));
        }
        finally
        {
            Run("umount", mount);
        }
    }

    [Fact]
    public async Task A_disk_full_from_the_start_is_told_as_full()
    {
        var mount = Directory.File("tiny");
        System.IO.Directory.CreateDirectory(mount);
        RunOrSkip("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount);
        try
        {
            await using var store = Open(Path.Combine(mount, "queues.db"));

            await AssertFaultAsync(StoreFault.Full, async () => await store.AddAsync(Entry(), Cancellation));
            await AssertFaultAsync(StoreFault.Full, async () => await store.CountAsync(Queue, Cancellation));

            RunOrSkip("mount", "-o", "remount,size=8m", mount);
            await store.AddAsync(Entry("/now"), Cancellation);
            Assert.Equal(["/now"], await ReadPathsAsync(store));
        }
        finally
        {
            Run("umount", mount);
        }
    }

    [Fact]
    public async Task A_read_only_file_is_told_and_used_again_once_it_may_be_written()
    {
        var first = Open();
        await first.AddAsync(Entry("/1"), Cancellation);
        await first.DisposeAsync();
        RunOrSkip("chattr", "+i", DatabasePath);
        var store = Open();
        try
        {
            var exception = await AssertFaultAsync(StoreFault.ReadOnly, async () => await store.AddAsync(Entry("/2"), Cancellation));
            Assert.Contains("Give this account the right to write", exception.Message, StringComparison.Ordinal);
        }
        finally
        {
            Run("chattr", "-i", DatabasePath);
        }

        await store.AddAsync(Entry("/2"), Cancellation);
        Assert.Equal(["/1", "/2"], await ReadPathsAsync(store));
    }

    [Fact]
    public async Task A_read_only_file_system_is_told_and_used_again_once_it_may_be_written()
    {
        var mount = Directory.File("disk");
        System.IO.Directory.CreateDirectory(mount);
        RunOrSkip("mount", "-t", "tmpfs", "-o", "ro,size=8m", "tmpfs", mount);
        try
        {
            await using var store = Open(Path.Combine(mount, "queues.db"));
            await AssertFaultAsync(StoreFault.ReadOnly, async () => await store.AddAsync(Entry(), Cancellation));

            RunOrSkip("mount", "-o", "remount,rw", mount);
            await store.AddAsync(Entry("/now"), Cancellation);
            Assert.Equal(["/now"], await ReadPathsAsync(store));
        }
        finally
        {
            Run("umount", mount);
        }
    }

    [Fact]
    public async Task A_locked_file_is_told_and_the_call_after_it_succeeds()
    {
        var store = Open(busyTimeout: TimeSpan.FromMilliseconds(50));
        await store.AddAsync(Entry("/1"), Cancellation);
        using (var other = Connect())
        {
            Execute(other, "BEGIN EXCLUSIVE");
            var exception = await AssertFaultAsync(StoreFault.Locked, async () => await store.AddAsync(Entry("/2"), Cancellation));
            Assert.Contains("BusyTimeout", exception.Message, StringComparison.Ordinal);
            Assert.Equal(["/1"], await ReadPathsAsync(store));
            Execute(other, "ROLLBACK");
        }

        await store.AddAsync(Entry("/2"), Cancellation);
        Assert.Equal(["/1", "/2"], await ReadPathsAsync(store));
    }

    [Fact]
    public async Task What_is_no_database_is_refused_and_left_as_it_is()
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("Dear diary, ", 500)));
        await File.WriteAllBytesAsync(DatabasePath, bytes, Cancellation);

        await AssertRefusedAsync("is not a SQLite database");

        Assert.Equal(bytes, await File.ReadAllBytesAsync(DatabasePath, Cancellation));
    }

    [Theory]
    [InlineData("DELETE")]
    [InlineData("WAL")]
    public async Task The_database_of_another_application_is_refused_and_left_as_it_is(string journalMode)
    {
        using (var other = Connect())
        {
            Execute(other, $"PRAGMA journal_mode = {journalMode}; CREATE TABLE note (text TEXT); INSERT INTO note VALUES ('mine');");
        }

        var bytes = await File.ReadAllBytesAsync(DatabasePath, Cancellation);

        await AssertRefusedAsync("another application");

        Assert.Equal(bytes, await File.ReadAllBytesAsync(DatabasePath, Cancellation));
    }

    [Fact]
    public async Task A_store_of_a_later_version_is_refused_and_left_as_it_is()
    {
        var first = Open();
        await first.AddAsync(Entry(), Cancellation);
        await first.DisposeAsync();
        using (var other = Connect())
        {
            Execute(other, "PRAGMA user_version = 99");
        }

        var bytes = await File.ReadAllBytesAsync(DatabasePath, Cancellation);

        await AssertRefusedAsync("later version");

        Assert.Equal(bytes, await File.ReadAllBytesAsync(DatabasePath, Cancellation));
    }

    [Fact]
    public async Task Damage_found_at_the_opening_is_moved_aside_and_the_rest_recovered()
    {
        await FillAsync(300);
        BreakRootOf("queue");
        var damaged = await File.ReadAllBytesAsync(DatabasePath, Cancellation);

        var store = Open();

        // The table of queues is rebuilt from the entries; only the pause that it held is lost.
        Assert.Equal(Enumerable.Range(1, 299).Select(i => $"/entry-{i}-"), await ReadPathsAsync(store));
        Assert.Equal(new QueueCounts(299, 1, 299 * 100), await store.CountAsync(Queue, Cancellation));
        var dead = Assert.Single(await store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation));
        Assert.Equal("/entry-0-", dead.Entry!.Request.Uri.AbsolutePath);
        Assert.Equal("no"u8.ToArray(), dead.Response!.Body.ToArray());
        await store.DeleteDeadLetterAsync(Queue, dead.Id, Cancellation);
        Assert.Equal(DeadLetterCause.Rejected, (await store.GetReceiptAsync(Queue, dead.Id, Cancellation))!.Cause);
        AssertMovedAside(damaged, "299 entries and 1 dead letters");

        var head = await LeaseOneAsync(store);
        Assert.Equal("/entry-1-", head.Entry!.Request.Uri.AbsolutePath);
        Assert.Equal(7, head.Entry.Attempts);
        Assert.Equal("HTTP 503", head.Entry.LastError);
    }

    [Fact]
    public async Task Damage_found_later_is_told_and_recovered_from_by_the_next_call()
    {
        await FillAsync(300);
        BreakPageOf(DatabasePath, "/entry-150-"u8);
        var damaged = await File.ReadAllBytesAsync(DatabasePath, Cancellation);
        var store = Open();

        var exception = await AssertFaultAsync(StoreFault.Corrupt, () => ReadPathsAsync(store));
        Assert.Contains("moves it aside", exception.Message, StringComparison.Ordinal);

        var paths = await ReadPathsAsync(store);
        Assert.DoesNotContain("/entry-150-", paths);
        Assert.InRange(paths.Count, 250, 298);
        Assert.Equal(paths.OrderBy(Number), paths);
        Assert.Equal(1, Number(paths[0]));
        Assert.Equal(299, Number(paths[^1]));
        Assert.Equal(paths.Count, (await store.CountAsync(Queue, Cancellation)).Pending);
        Assert.NotNull(await store.GetPauseAsync(Queue, Cancellation));
        AssertMovedAside(damaged, $"{paths.Count} entries and 1 dead letters");
        Assert.True((await store.AddAsync(Entry("/entry-300-"), Cancellation)).Id > 300);
        foreach (var path in paths)
        {
            var leased = await LeaseOneAsync(store);
            Assert.Equal(path, leased.Entry!.Request.Uri.AbsolutePath);
            await store.CompleteAsync(leased.Lease, null, Cancellation);
        }

        static int Number(string path) => int.Parse(path.Split('-')[1], CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task The_id_of_a_dead_letter_is_not_given_again_where_the_count_of_ids_is_damaged()
    {
        long dead;
        await using (var first = Open())
        {
            await first.AddAsync(Entry("/alive", "alive"), Cancellation);
            dead = (await first.AddAsync(Entry("/dead", "dead"), Cancellation)).Id;
            var leased = await first.LeaseLaneAsync(Queue, "dead", LeaseTime, Cancellation);
            await first.SettleAsync(leased!.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        }

        BreakRootOf("sqlite_sequence");
        BreakRootOf("lane");
        var store = Open();

        Assert.True((await store.AddAsync(Entry("/next"), Cancellation)).Id > dead);
        Assert.NotEmpty(MovedAside());
    }

    [Fact]
    public async Task A_database_of_which_only_the_header_is_left_is_moved_aside()
    {
        await FillAsync(10);
        var bytes = await File.ReadAllBytesAsync(DatabasePath, Cancellation);
        bytes.AsSpan(100).Fill(0xEE);
        await File.WriteAllBytesAsync(DatabasePath, bytes, Cancellation);
        var store = Open();

        await store.AddAsync(Entry("/new"), Cancellation);

        Assert.Equal(["/new"], await ReadPathsAsync(store));
        AssertMovedAside(bytes, "0 entries and 0 dead letters");
    }

    [Fact]
    public async Task A_body_is_recovered_with_its_entry()
    {
        var first = Open();
        await using (var writer = await first.BeginBodyAsync(Cancellation))
        {
            await writer.WriteAsync(Enumerable.Range(0, 300_000).Select(i => (byte)i).ToArray(), Cancellation);
            await first.AddAsync(Entry() with { Body = EntryBody.FromWriter(writer) }, Cancellation);
        }

        await first.DisposeAsync();
        BreakRootOf("lane");
        var store = Open();

        var entry = Assert.Single(await store.ReadAsync(Queue, QueueEnd.Front, Cancellation).ToListAsync(Cancellation));
        using var read = new MemoryStream();
        await using var body = await store.OpenBodyAsync(Queue, entry.Id, Cancellation);
        await body!.CopyToAsync(read, Cancellation);
        Assert.Equal(Enumerable.Range(0, 300_000).Select(i => (byte)i), read.ToArray());
    }

    [Theory]
    [InlineData("queue")]
    [InlineData("lane")]
    public async Task A_recovered_entry_waits_for_its_prerequisite_if_that_was_recovered_too(string damagedTable)
    {
        await using (var first = Open())
        {
            var lost = (await first.AddAsync(Entry("/marker-lost", "a"), Cancellation)).Id;
            var kept = (await first.AddAsync(Entry("/kept", "b"), Cancellation)).Id;
            await first.AddAsync(Entry("/after-lost", "c") with { Prerequisite = lost }, Cancellation);
            await first.AddAsync(Entry("/after-kept", "d") with { Prerequisite = kept }, Cancellation);
        }

        BreakRootOf(damagedTable);
        Flip(DatabasePath, "/marker-lost"u8, 3);
        var store = Open();

        var due = await store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation);
        Assert.Equal(["/after-lost", "/kept"], due.Select(leased => leased.Entry!.Request.Uri.AbsolutePath).Order());
        foreach (var leased in due)
        {
            await store.CompleteAsync(leased.Lease, null, Cancellation);
        }

        Assert.Equal("/after-kept", (await LeaseOneAsync(store)).Entry!.Request.Uri.AbsolutePath);
    }

    [Fact]
    public async Task The_history_is_recovered_with_its_entry_and_with_no_other()
    {
        var first = Open();
        var failed = Entry() with { Attempts = 1, LastError = "HTTP 503", LastStatusCode = 503 };
        var dead = (await first.AddAsync(failed, Cancellation)).Id;
        await first.SettleAsync(
            (await LeaseOneAsync(first)).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, "no", 422), Cancellation);
        var live = (await first.AddAsync(failed, Cancellation)).Id;
        await first.AddAsync(failed with { Request = Entry("/marker-lost").Request }, Cancellation);
        await first.DisposeAsync();
        Flip(DatabasePath, "/marker-lost"u8, 3);
        BreakRootOf("lane");
        var store = Open();

        Assert.Equal([503], (await store.GetHistoryAsync(Queue, live, Cancellation)).Select(attempt => attempt.StatusCode));
        var letter = Assert.Single(await store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation));
        Assert.Equal((dead, 2), (letter.Id, letter.History.Count));
        Assert.Equal(3, Scalar("SELECT count(*) FROM attempt"));
    }

    [Fact]
    public async Task The_order_of_a_recovered_queue_is_kept_by_what_is_added_to_it()
    {
        var first = Open();
        await AddOneOfEachAsync(first, "1", QueueEnd.Back);
        await AddOneOfEachAsync(first, "0", QueueEnd.Front);
        await first.DisposeAsync();
        BreakRootOf("queue");
        var store = Open();

        await AddOneOfEachAsync(store, "2", QueueEnd.Back);
        await AddOneOfEachAsync(store, "-1", QueueEnd.Front);

        Assert.Equal(
            from priority in (string[])["High", "Normal", "Low"] from number in (int[])[-1, 0, 1, 2] select $"/{priority}{number}",
            await ReadPathsAsync(store));

        async Task AddOneOfEachAsync(IQueueStore store, string name, QueueEnd end)
        {
            foreach (var priority in Enum.GetValues<EntryPriority>())
            {
                await store.AddAsync(Entry($"/{priority}{name}") with { Priority = priority, End = end }, Cancellation);
            }
        }
    }

    [Fact]
    public async Task A_held_request_is_recovered_with_its_body_and_keeps_its_place()
    {
        await using (var first = Open())
        {
            await using var writer = await first.BeginBodyAsync(Cancellation);
            await writer.WriteAsync(new byte[100], Cancellation);
            await first.BeginWriteAheadAsync(Entry("/held") with { Body = EntryBody.FromWriter(writer) }, isRepeatable: true, Cancellation);
            await first.AddAsync(Entry("/after"), Cancellation);
            await first.BeginWriteAheadAsync(Entry("/last"), isRepeatable: true, Cancellation);
        }

        BreakRootOf("queue");
        var store = Open();

        Assert.Equal(["/held", "/after", "/last"], await ReadPathsAsync(store));
        await store.AddAsync(Entry("/new"), Cancellation);
        Assert.Equal(["/held", "/after", "/last", "/new"], await ReadPathsAsync(store));
        await using var body = await store.OpenBodyAsync(Queue, (await LeaseOneAsync(store)).Lease.EntryId, Cancellation);
        using var read = new MemoryStream();
        await body!.CopyToAsync(read, Cancellation);
        Assert.Equal(new byte[100], read.ToArray());
    }

    [Fact]
    public async Task A_damaged_file_that_another_store_has_open_is_not_moved()
    {
        await FillAsync(10);
        var other = Open();
        await other.CountAsync(Queue, Cancellation);
        BreakRootOf("queue");
        var store = Open();

        var exception = await AssertFaultAsync(StoreFault.Corrupt, async () => await store.AddAsync(Entry(), Cancellation));
        Assert.Contains("other processes", exception.Message, StringComparison.Ordinal);
        Assert.Empty(MovedAside());

        await other.DisposeAsync();
        await store.AddAsync(Entry("/new"), Cancellation);
        Assert.Equal("/new", (await ReadPathsAsync(store))[^1]);
        Assert.Equal(10, (await store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task A_damaged_file_that_was_taken_away_by_hand_is_made_anew()
    {
        await FillAsync(300);
        BreakPageOf(DatabasePath, "/entry-150-"u8);
        var store = Open();
        await AssertFaultAsync(StoreFault.Corrupt, () => ReadPathsAsync(store));
        foreach (var file in System.IO.Directory.GetFiles(Directory.Path, "queues.db*"))
        {
            File.Delete(file);
        }

        await store.AddAsync(Entry("/new"), Cancellation);

        Assert.Equal(["/new"], await ReadPathsAsync(store));
    }

    [Fact]
    public async Task A_recovery_cut_short_is_finished_at_the_next_start()
    {
        await FillAsync(10);
        File.Move(DatabasePath, DatabasePath + ".recovered");

        Assert.Equal(9, (await ReadPathsAsync(Open())).Count);
    }

    private async Task FillAsync(int count)
    {
        await using var store = Open();
        for (var i = 0; i < count; i++)
        {
            await store.AddAsync(Entry($"/entry-{i}-") with { Body = EntryBody.FromBytes(new byte[100]) }, Cancellation);
        }

        var deadLettered = new Settlement.DeadLettered(
            DeadLetterCause.Rejected, "HTTP 400", 400, new(400, [], "no"u8.ToArray(), IsWhole: true));
        await store.SettleAsync((await LeaseOneAsync(store)).Lease, deadLettered, Cancellation);
        for (var i = 0; i < 7; i++)
        {
            await store.SettleAsync(
                (await LeaseOneAsync(store)).Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 503"), Cancellation);
        }

        await store.SetPauseAsync(Queue, new QueuePause(PauseCause.Application, "lunch", Clock.GetUtcNow()), Cancellation);
    }

    private async Task AssertRefusedAsync(string reason)
    {
        await using var store = Open();
        var exception = await AssertFaultAsync(StoreFault.NotAStore, async () => await store.AddAsync(Entry(), Cancellation));
        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
        Assert.Contains("AddBackgroundSyncSqlite(\"path\")", exception.Message, StringComparison.Ordinal);
    }

    private void AssertMovedAside(byte[] damaged, string recovered)
    {
        var aside = Assert.Single(MovedAside());
        Assert.Equal(damaged, File.ReadAllBytes(aside));
        Assert.EndsWith(".corrupt-20260101T000000000", aside, StringComparison.Ordinal);
        var record = Assert.Single(Logger.Records, record => record.Event.Id == 4001);
        Assert.Equal(LogLevel.Error, record.Level);
        Assert.Contains(recovered, record.Message, StringComparison.Ordinal);
        Assert.Contains(aside, record.Message, StringComparison.Ordinal);
    }

    private List<string> MovedAside() =>
        [.. System.IO.Directory.GetFiles(Directory.Path, "*.corrupt-*").Where(file => !file.EndsWith("-wal", StringComparison.Ordinal)
            && !file.EndsWith("-shm", StringComparison.Ordinal))];

    private void BreakRootOf(string table)
    {
        var root = (int)Scalar($"SELECT rootpage FROM sqlite_master WHERE name = '{table}'");
        var bytes = File.ReadAllBytes(DatabasePath);
        bytes.AsSpan((root - 1) * 4096, 16).Fill(0xFF);
        File.WriteAllBytes(DatabasePath, bytes);
    }

    private static void RunOrSkip(string command, params string[] arguments)
    {
        if (!OperatingSystem.IsLinux() || Run(command, arguments) is not 0)
        {
            Unpermitted.Skip($"This machine or account does not permit '{command}'.");
        }
    }

    private static int? Run(string command, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}

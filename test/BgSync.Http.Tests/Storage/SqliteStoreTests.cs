using System.Security.Cryptography;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using Xunit;

namespace BgSync.Http.Tests.Storage;

public sealed class SqliteStoreTests : SqliteStoreFixture
{
    [Fact]
    public async Task A_damaged_entry_does_not_leave_its_lane_to_pass_for_a_whole_one()
    {
        var store = Open();
        var (id, _) = await store.AddAsync(Entry("/1"), Cancellation);
        var lease = (await LeaseOneAsync(store)).Lease;
        using (var connection = Connect())
        {
            Execute(connection, $"UPDATE entry SET uri = uri || 'x' WHERE id = {id}");
        }

        Assert.True(await store.SettleAsync(lease, new Settlement.Retry(TimeSpan.Zero, true, LeavesLane: true), Cancellation));

        var again = await LeaseOneAsync(store);
        Assert.Equal((id, null), (again.Lease.EntryId, again.Entry));
        Assert.NotNull(again.Damage);
    }

    [Fact]
    public async Task Every_commit_is_flushed()
    {
        var store = Open();
        await store.AddAsync(Entry(), Cancellation);

        const int Full = 2;
        Assert.Equal(Full, await store.QueryWriterAsync("PRAGMA synchronous"));
        Assert.True(File.Exists(DatabasePath + "-wal"));
    }

    [Fact]
    public async Task The_leases_of_a_dead_owner_are_void_at_once_and_its_attempt_counts()
    {
        var survivor = Open();
        var victim = Open();
        await victim.AddAsync(Entry(), Cancellation);
        await LeaseOneAsync(victim);
        Assert.Equal(0, (await survivor.ReclaimAsync(Cancellation)).Leases);
        Assert.Empty(await survivor.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));

        await victim.DisposeAsync();

        // A process that was killed leaves its file behind, unlocked.
        var left = $"{DatabasePath}.owner-{OwnerOfLease():N}";
        await File.WriteAllBytesAsync(left, [], Cancellation);
        Assert.Equal(1, (await survivor.ReclaimAsync(Cancellation)).Leases);
        Assert.Equal(0, (await survivor.ReclaimAsync(Cancellation)).Leases);
        Assert.False(File.Exists(left));
        Assert.Equal(1, (await LeaseOneAsync(survivor)).Entry!.Attempts);

        Guid OwnerOfLease()
        {
            using var connection = Connect();
            using var command = connection.CreateCommand();
            command.CommandText = "SELECT lease_owner FROM lane";
            return new Guid((byte[])command.ExecuteScalar()!);
        }
    }

    [Fact]
    public async Task The_bodies_that_a_dead_owner_began_are_removed_at_the_next_start()
    {
        var victim = Open();
        var orphan = await victim.BeginBodyAsync(Cancellation);
        await orphan.WriteAsync(new byte[100], Cancellation);
        await victim.DisposeAsync();

        await Open().CountAsync(Queue, Cancellation);

        Assert.Equal(0, Scalar("SELECT count(*) FROM body_chunk"));
    }

    [Fact]
    public async Task A_store_leaves_no_lock_file_behind()
    {
        var store = Open();
        await store.AddAsync(Entry(), Cancellation);
        Assert.Single(System.IO.Directory.GetFiles(Directory.Path, "*.owner-*"));

        await store.DisposeAsync();

        Assert.Equal([DatabasePath], System.IO.Directory.GetFiles(Directory.Path));
    }

    [Fact]
    public async Task The_history_goes_with_its_entry_however_that_goes()
    {
        var store = Open();
        var removed = await AddFailedAsync("removed");
        await AddFailedAsync("cleared");
        await store.AddAsync(Entry(lane: "delivered"), Cancellation);
        await store.CompleteAsync(await FailAndLeaseAsync("delivered"), null, Cancellation);
        var dead = (await store.AddAsync(Entry(lane: "dead"), Cancellation)).Id;
        await store.SettleAsync(await FailAndLeaseAsync("dead"), new Settlement.DeadLettered(DeadLetterCause.Rejected, "no"), Cancellation);
        await store.AddAsync(Entry(lane: "trimmed"), Cancellation);
        await store.SettleAsync(
            await FailAndLeaseAsync("trimmed"), new Settlement.DeadLettered(DeadLetterCause.Rejected, "no"), Cancellation);
        Assert.Equal(6, Scalar("SELECT count(*) FROM attempt"));

        await store.RemoveAsync(Queue, removed, null, Cancellation);
        await store.ClearAsync(Queue, 10, Cancellation);
        Assert.Equal(4, Scalar("SELECT count(*) FROM attempt"));
        await store.DeleteDeadLetterAsync(Queue, dead, Cancellation);
        Assert.Equal(2, Scalar("SELECT count(*) FROM attempt"));
        Assert.Single(await store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, keep: 0, 10, Cancellation));

        Assert.Equal(0, Scalar("SELECT count(*) FROM attempt"));

        async Task<long> AddFailedAsync(string lane) =>
            (await store.AddAsync(Entry(lane: lane) with { Attempts = 1, LastError = "reset" }, Cancellation)).Id;

        async Task<Lease> FailAndLeaseAsync(string lane)
        {
            var leased = (await store.LeaseLaneAsync(Queue, lane, LeaseTime, Cancellation))!;
            await store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 503", StatusCode: 503), Cancellation);
            return (await store.LeaseLaneAsync(Queue, lane, LeaseTime, Cancellation))!.Lease;
        }
    }

    [Fact]
    public async Task Nobody_else_can_look_into_the_files()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no Unix file modes.");
        var folder = Directory.File("new");
        var store = Open(Path.Combine(folder, "deep", "queues.db"));
        await store.AddAsync(Entry(), Cancellation);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, ModeOf(folder));
        var files = System.IO.Directory.GetFiles(Path.Combine(folder, "deep"));
        Assert.Contains(files, file => file.EndsWith("-wal", StringComparison.Ordinal));
        Assert.Contains(files, file => file.EndsWith("-shm", StringComparison.Ordinal));
        Assert.All(files, file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, ModeOf(file)));

        static UnixFileMode ModeOf(string path) => OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(path);
    }

    [Fact]
    public async Task Every_statement_finds_its_rows_by_an_index()
    {
        var store = Open();
        await UseEveryOperationAsync(store);
        var statements = await store.GetStatementsAsync();
        Assert.True(statements.Count > 40);
        using var connection = Connect();
        SqlitePlan.AssertIndexed(connection, statements);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_file_shrinks_when_its_queue_does()
    {
        var store = Open();
        for (var i = 0; i < 4; i++)
        {
            await using var body = await store.BeginBodyAsync(Cancellation);
            for (var chunk = 0; chunk < 10; chunk++)
            {
                await body.WriteAsync(new byte[256 * 1024], Cancellation);
            }

            await store.AddAsync(Entry() with { Body = EntryBody.FromWriter(body) }, Cancellation);
        }

        var full = await store.QueryWriterAsync("PRAGMA page_count");
        for (var i = 0; i < 4; i++)
        {
            await store.CompleteAsync((await LeaseOneAsync(store)).Lease, null, Cancellation);
        }

        // The writer gives space back when it has nothing else to do, so it is asked but now and then.
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(300));
        while (await store.QueryWriterAsync("PRAGMA page_count") > full / 2)
        {
            await timer.WaitForNextTickAsync(Cancellation);
        }
    }

    [Fact]
    public async Task A_flipped_byte_of_an_entry_is_damage_and_the_queue_goes_on()
    {
        var first = Open();
        await first.AddAsync(Entry("/marker-one"), Cancellation);
        await first.AddAsync(Entry("/two"), Cancellation);
        await first.DisposeAsync();
        Flip(DatabasePath, "/marker-one"u8, 3);

        var store = Open();

        Assert.Equal(["/two"], await ReadPathsAsync(store));
        var leased = await LeaseOneAsync(store);
        Assert.False(leased.IsReadable);
        Assert.Null(leased.Entry);
        Assert.Contains("checksum", leased.Damage, StringComparison.Ordinal);
        Assert.True(
            await store.SettleAsync(leased.Lease, new Settlement.DeadLettered(DeadLetterCause.Unreadable, leased.Damage), Cancellation));
        var letter = Assert.Single(await store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation));
        Assert.Equal(DeadLetterCause.Unreadable, letter.Cause);
        Assert.Null(letter.Entry);
        Assert.False(await store.RequeueAsync(Queue, letter.Id, DateTimeOffset.MaxValue, Cancellation));
        Assert.Equal("/two", (await LeaseOneAsync(store)).Entry!.Request.Uri.AbsolutePath);
        Assert.True(await store.DeleteDeadLetterAsync(Queue, letter.Id, Cancellation));
    }

    [Fact]
    public async Task A_flipped_byte_of_an_inline_body_is_damage()
    {
        var first = Open();
        var (id, _) = await first.AddAsync(Entry() with { Body = EntryBody.FromBytes("the marked body"u8.ToArray()) }, Cancellation);
        await first.DisposeAsync();
        Flip(DatabasePath, "the marked body"u8);

        var store = Open();

        await using var body = await store.OpenBodyAsync(Queue, id, Cancellation);
        await Assert.ThrowsAsync<InvalidDataException>(async () => await body!.ReadExactlyAsync(new byte[10], Cancellation));
        Assert.NotNull((await LeaseOneAsync(store)).Damage);
    }

    [Fact]
    public async Task A_flipped_byte_of_a_chunk_is_found_before_any_of_the_chunk_is_passed_on()
    {
        var bytes = RandomNumberGenerator.GetBytes(600_000);
        "the marked chunk"u8.CopyTo(bytes.AsSpan(300_000));
        var first = Open();
        var writer = await first.BeginBodyAsync(Cancellation);
        await writer.WriteAsync(bytes, Cancellation);
        var (id, _) = await first.AddAsync(Entry() with { Body = EntryBody.FromWriter(writer) }, Cancellation);
        await first.DisposeAsync();
        Flip(DatabasePath, "the marked chunk"u8);

        await using var body = await Open().OpenBodyAsync(Queue, id, Cancellation);

        using var read = new MemoryStream();
        await Assert.ThrowsAsync<InvalidDataException>(() => body!.CopyToAsync(read, Cancellation));
        Assert.Equal(bytes[..(256 * 1024)], read.ToArray());
    }

    [Fact]
    public async Task A_path_that_cannot_be_is_told_to_every_caller()
    {
        var store = Open("queues\0.db");

        await Assert.ThrowsAsync<ArgumentException>(async () => await store.AddAsync(Entry(), Cancellation));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public void The_default_place_is_the_applications_data_folder()
    {
        Assert.Equal(
            Path.Combine("data", "Shop", "bgsync", "queues.db"), SqlitePath.InDataFolder("data", "Shop"));

        var exception = Assert.Throws<QueueStoreException>(() => SqlitePath.InDataFolder("", "Shop"));
        Assert.Contains("AddBackgroundSyncSqlite(\"path\")", exception.Message, StringComparison.Ordinal);
    }

    private async Task UseEveryOperationAsync(SqliteQueueStore store)
    {
        var now = Clock.GetUtcNow();
        await using (var body = await store.BeginBodyAsync(Cancellation))
        {
            await body.WriteAsync(new byte[10], Cancellation);
            await store.AddAsync(Entry() with { Body = EntryBody.FromWriter(body) }, Cancellation);
        }

        await store.AddAsync(Entry("/2") with { End = QueueEnd.Front }, Cancellation);
        await store.AddAsync(Entry("/2a") with { Priority = EntryPriority.High }, Cancellation);
        await store.CompleteAsync((await LeaseOneAsync(store)).Lease, null, Cancellation);
        await store.AddAsync(Entry("/3", "other") with { ExpiresAt = now }, Cancellation);
        var leased = await store.LeaseAsync(Queue, Origin, 2, LeaseTime, Cancellation);
        await store.AddAsync(Entry("/4") with { End = QueueEnd.Front }, Cancellation);
        await store.RenewAsync(leased[0].Lease, LeaseTime, Cancellation);
        foreach (var lease in leased)
        {
            await store.SettleAsync(lease.Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 503"), Cancellation);
            await store.GetHistoryAsync(Queue, lease.Lease.EntryId, Cancellation);
        }

        Clock.Advance(TimeSpan.FromSeconds(1));
        await store.ExpireAsync(Queue, 10, keep: true, Cancellation);
        await store.CompleteAsync((await LeaseOneAsync(store)).Lease, new Settlement.Delivered(200), Cancellation);
        var victim = await LeaseOneAsync(store);
        await store.SettleAsync(victim.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        await store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation);
        await store.RequeueAsync(Queue, victim.Lease.EntryId, DateTimeOffset.MaxValue, Cancellation);
        await store.DeleteDeadLetterAsync(Queue, 3, Cancellation);
        await store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation);
        await WriteAheadAndReclaimAsync(store);
        await store.GetScheduleAsync(Queue, Cancellation);
        await store.SetPauseAsync(Queue, null, Cancellation);
        await store.GetPauseAsync(Queue, Cancellation);
        await store.CountAsync(Queue, Cancellation);
        foreach (var entry in await store.ReadAsync(Queue, QueueEnd.Front, Cancellation).ToListAsync(Cancellation))
        {
            using var read = new MemoryStream();
            await using var body = await store.OpenBodyAsync(Queue, entry.Id, Cancellation);
            await body!.CopyToAsync(read, Cancellation);
        }

        await store.AddAsync(Entry("/5", "edited"), Cancellation);
        await store.AddAsync(Entry("/6", "dependent") with { Prerequisite = victim.Lease.EntryId }, Cancellation);
        await foreach (var entry in store.ReadAsync(Queue, QueueEnd.Back, Cancellation))
        {
            var found = (await store.FindAsync(Queue, entry.Id, Cancellation))!;
            await store.ReplaceAsync(found, EntryBody.FromBytes(new byte[1]), TimeSpan.Zero, Cancellation);
            found = (await store.FindAsync(Queue, entry.Id, Cancellation))!;
            Assert.Equal(EntryChange.Done, await store.ReplaceAsync(found with { Lane = "moved" }, null, TimeSpan.Zero, Cancellation));
        }

        await store.GetReceiptAsync(Queue, long.MaxValue, Cancellation);
        Assert.NotEqual(0, await store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, 10, Cancellation));
        await store.FindLastAsync(Queue, "x", Cancellation);
        await store.RemoveAsync(Queue, (await store.AddAsync(Entry("/7"), Cancellation)).Id, null, Cancellation);
        await store.AddAsync(Entry("/8", "left"), Cancellation);
        foreach (var lease in await store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation))
        {
            await store.SettleAsync(lease.Lease, new Settlement.Retry(TimeSpan.Zero, true, LeavesLane: true), Cancellation);
        }

        foreach (var policy in (WhenFull[])[WhenFull.DropOldest, WhenFull.DropFirstToExpire])
        {
            Assert.NotEmpty((await store.AddAsync(Entry() with { Limits = new(1, null, policy) }, Cancellation)).Dropped);
        }

        Assert.Single(await store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, 0, 1, Cancellation));
        Assert.NotEqual(0, await store.ClearAsync(Queue, 10, Cancellation));
    }

    private async Task WriteAheadAndReclaimAsync(SqliteQueueStore store)
    {
        await store.CommitWriteAheadAsync(
            await store.BeginWriteAheadAsync(Entry("/held"), true, Cancellation), new(TimeSpan.Zero), Cancellation);
        await store.DiscardWriteAheadAsync(await store.BeginWriteAheadAsync(Entry("/dropped"), true, Cancellation), Cancellation);
        await using (var victim = Open())
        {
            await victim.BeginWriteAheadAsync(Entry("/reclaimed"), true, Cancellation);
            await victim.BeginWriteAheadAsync(Entry("/once"), false, Cancellation);
        }

        Assert.Single((await store.ReclaimAsync(Cancellation)).DeadLetters);
    }
}

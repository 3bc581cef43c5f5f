using BgSync.Http.Outcomes;
using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Npgsql;
using TestKit;
using TestKit.PostgreSql;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

/// <summary>A server that cannot do what it is asked: the callers' exceptions, and the rows that are left.</summary>
public sealed class PostgreSqlFaultTests(ClassDatabase shared, PostgreSqlCluster cluster) : PostgreSqlStoreFixture(shared)
{
    [Fact]
    public async Task A_store_goes_on_when_its_connections_were_cut()
    {
        var store = Open();
        await store.AddAsync(Entry("/1"), Cancellation);

        Assert.NotEqual(0, await Database.CutConnectionsAsync());
        await store.AddAsync(Entry("/2"), Cancellation);
        await Database.CutConnectionsAsync();

        Assert.Equal(["/1", "/2"], await ReadPathsAsync(store));
    }

    [Fact]
    public async Task A_call_whose_connection_is_cut_under_way_is_made_again()
    {
        var store = Open();
        await store.AddAsync(Entry("/1"), Cancellation);
        var lease = (await LeaseOneAsync(store)).Lease;
        await using var blocker = await LockLanesAsync();
        var completion = store.CompleteAsync(lease, null, Cancellation).AsTask();
        await UntilWaitingAsync();

        await Database.CutConnectionsAsync();
        await UntilWaitingAsync();
        await blocker.RollbackAsync(Cancellation);

        Assert.True(await completion);
        Assert.Empty(await ReadPathsAsync(store));
    }

    [Fact]
    public async Task An_add_that_is_made_twice_adds_once()
    {
        var store = Open();
        var id = await AddAsync(store, Entry("/1"));

        // As after a connection that broke before its outcome was heard.
        await Database.ExecuteAsync($"""
            SELECT bgsync.add({id}, (
                SELECT bgsync.request_of(entry) FROM bgsync.entry WHERE id = {id}), NULL, NULL, false, 0, NULL, NULL, false, 0, false,
                NULL, NULL, 0)
            """);

        Assert.Equal(["/1"], await ReadPathsAsync(store));
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task A_store_goes_on_after_a_crash_of_the_server_and_nothing_queued_is_lost()
    {
        var server = await PostgreSqlCluster.StartNewAsync();
        try
        {
            await using var database = await server.CreateDatabaseAsync();
            var store = Open(dataSource: database.DataSource);
            await store.AddAsync(Entry("/1"), Cancellation);

            await server.StopAsync("immediate");
            var down = await Assert.ThrowsAsync<QueueStoreException>(async () => await store.AddAsync(Entry("/lost"), Cancellation));
            Assert.Equal(StoreFault.Unavailable, down.Fault);
            down = await Assert.ThrowsAsync<QueueStoreException>(async () => await store.CountAsync(Queue, Cancellation));
            Assert.Equal(StoreFault.Unavailable, down.Fault);
            await server.StartAsync();

            await store.AddAsync(Entry("/2"), Cancellation);
            Assert.Equal(["/1", "/2"], await ReadPathsAsync(store));
            await store.DisposeAsync();
        }
        finally
        {
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_database_without_the_schema_is_no_store_until_it_has_it()
    {
        await using var empty = await cluster.CreateDatabaseAsync(migrated: false);
        var store = Open(dataSource: empty.DataSource);

        var fault = await Assert.ThrowsAsync<QueueStoreException>(async () => await store.AddAsync(Entry(), Cancellation));
        Assert.Equal(StoreFault.NotAStore, fault.Fault);
        Assert.Contains("bgsync postgres migrate", fault.Message, StringComparison.Ordinal);
        await PostgreSqlMigrations.ApplyAsync(empty.DataSource, cancellationToken: Cancellation);
        await store.AddAsync(Entry("/1"), Cancellation);

        // Found while it is in use as well.
        await empty.ExecuteAsync("DROP SCHEMA bgsync CASCADE");
        fault = await Assert.ThrowsAsync<QueueStoreException>(async () => await store.AddAsync(Entry(), Cancellation));
        Assert.Equal(StoreFault.NotAStore, fault.Fault);
        fault = await Assert.ThrowsAsync<QueueStoreException>(async () => await store.CountAsync(Queue, Cancellation));
        Assert.Equal(StoreFault.NotAStore, fault.Fault);
        await store.DisposeAsync();
    }

    [Theory]
    [InlineData("-c default_transaction_read_only=on", StoreFault.ReadOnly)]
    [InlineData("-c lock_timeout=50", StoreFault.Locked)]
    [InlineData("-c statement_timeout=50", StoreFault.Unavailable)]
    public async Task What_keeps_a_session_from_writing_is_told_and_what_reads_goes_on(string options, StoreFault expected)
    {
        var store = Open(dataSource: Connect(options));
        await AddAsync(Open(), Entry("/1"));
        await using var blocker = await LockLanesAsync();

        var fault = await Assert.ThrowsAsync<QueueStoreException>(async () => await store.AddAsync(Entry("/2"), Cancellation));

        Assert.Equal(expected, fault.Fault);
        Assert.IsType<PostgresException>(fault.InnerException);
        Assert.Equal(["/1"], await ReadPathsAsync(store));
    }

    [Fact]
    public async Task One_call_that_fails_takes_no_other_of_its_batch_along()
    {
        await RaiseOnInsertAsync("IF NEW.uri LIKE '%/poison' THEN RAISE 'poison' USING ERRCODE = '53100'; END IF;");
        var store = Open();
        await store.AddAsync(Entry("/first"), Cancellation);

        var adds = Enumerable.Range(0, 50)
            .Select(i => (IsPoison: i % 10 == 5, Task: store.AddAsync(Entry(i % 10 == 5 ? "/poison" : $"/{i}", $"{i}"), Cancellation).AsTask()))
            .ToList();

        foreach (var (isPoison, task) in adds)
        {
            if (isPoison)
            {
                Assert.Equal(StoreFault.Full, (await Assert.ThrowsAsync<QueueStoreException>(() => task)).Fault);
            }
            else
            {
                await task;
            }
        }

        Assert.Equal(46, (await store.CountAsync(Queue, Cancellation)).Pending);
        await AssertConsistentAsync();
    }

    [Theory]
    [InlineData("40P01")]
    [InlineData("40001")]
    public async Task Who_lost_to_another_tries_again(string state)
    {
        await Database.ExecuteAsync("CREATE SEQUENCE public.tries");
        await RaiseOnInsertAsync($"IF nextval('public.tries') < 4 THEN RAISE 'collision' USING ERRCODE = '{state}'; END IF;");
        var store = Open();

        await store.AddAsync(Entry("/1"), Cancellation);

        Assert.Equal(["/1"], await ReadPathsAsync(store));
        Assert.Equal(4, await Database.ScalarAsync("SELECT last_value FROM public.tries"));
    }

    [Fact]
    public async Task An_entry_is_on_disk_when_its_caller_is_told_whatever_the_server_s_default()
    {
        await Database.ExecuteAsync("CREATE TABLE public.seen (setting text)");
        await RaiseOnInsertAsync("INSERT INTO public.seen VALUES (current_setting('synchronous_commit'));");
        var store = Open(dataSource: Connect("-c synchronous_commit=off"));

        await store.AddAsync(Entry(), Cancellation);

        Assert.Equal(1, await Database.ScalarAsync("SELECT count(*) FROM public.seen WHERE setting = 'on'"));
    }

    [Fact]
    public async Task A_changed_row_is_damage_and_the_queue_goes_on()
    {
        var store = Open();
        var id = await AddAsync(store, Entry("/1") with { Body = EntryBody.FromBytes("hello"u8.ToArray()) });
        await AddAsync(store, Entry("/2"));
        await Database.ExecuteAsync($"UPDATE bgsync.entry SET uri = replace(uri, '/1', '/x') WHERE id = {id}");

        var damaged = await LeaseOneAsync(store);

        Assert.False(damaged.IsReadable);
        await using var body = await store.OpenBodyAsync(Queue, id, Cancellation);
        await Assert.ThrowsAsync<InvalidDataException>(async () => await body!.ReadExactlyAsync(new byte[5], Cancellation));
        await store.SettleAsync(damaged.Lease, new Settlement.DeadLettered(DeadLetterCause.Unreadable, damaged.Damage), Cancellation);
        Assert.Equal("/2", (await LeaseOneAsync(store)).Entry!.Request.Uri.AbsolutePath);
        Assert.False(await store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation));
    }

    [Theory]
    [InlineData("UPDATE bgsync.body_chunk SET bytes = set_byte(bytes, 7, 1) WHERE number = 1")]
    [InlineData("DELETE FROM bgsync.body_chunk WHERE number = 1")]
    [InlineData("UPDATE bgsync.body_chunk SET number = 2 - number")]
    public async Task A_changed_chunk_is_damage_before_any_of_it_is_passed_on(string damage)
    {
        var store = Open();
        await using var writer = await store.BeginBodyAsync(Cancellation);
        await writer.WriteAsync(new byte[700_000], Cancellation);
        var id = await AddAsync(store, Entry() with { Body = EntryBody.FromWriter(writer) });
        await Database.ExecuteAsync("ALTER TABLE bgsync.body_chunk DROP CONSTRAINT body_chunk_pkey");
        await Database.ExecuteAsync(damage);
        await Database.ExecuteAsync("ALTER TABLE bgsync.body_chunk ADD PRIMARY KEY (body_id, number)");

        await using var body = await store.OpenBodyAsync(Queue, id, Cancellation);
        await Assert.ThrowsAsync<InvalidDataException>(async () => await body!.CopyToAsync(Stream.Null, Cancellation));
    }

    [Fact]
    public async Task An_entry_whose_row_is_gone_leaves_its_lane_when_it_becomes_a_dead_letter()
    {
        var store = Open();
        var id = await AddAsync(store, Entry("/1"));
        await AddAsync(store, Entry("/2"));
        await Database.ExecuteAsync($"DELETE FROM bgsync.entry WHERE id = {id}");

        var gone = await LeaseOneAsync(store);

        Assert.Equal((id, "The entry's row is gone."), (gone.Lease.EntryId, gone.Damage));
        Assert.True(
            await store.SettleAsync(gone.Lease, new Settlement.DeadLettered(DeadLetterCause.Unreadable, gone.Damage), Cancellation));
        Assert.Null((await store.ReadDeadLettersAsync(Queue, Cancellation).SingleAsync(Cancellation)).Entry);
        Assert.Equal("/2", (await LeaseOneAsync(store)).Entry!.Request.Uri.AbsolutePath);
    }

    [Theory]
    [InlineData('\0')]
    [InlineData('\uD800')]
    public async Task Text_that_the_server_cannot_hold_is_replaced_in_what_is_read_and_refused_in_the_name_of_a_queue(int character)
    {
        var text = $"a{(char)character}b";
        var store = Open();
        await AddAsync(store, Entry() with { Attempts = 1, LastError = text, Metadata = new Dictionary<string, string> { ["note"] = text } });
        await store.SetPauseAsync(Queue, new QueuePause(PauseCause.Application, text, DateTimeOffset.UnixEpoch), Cancellation);

        var lease = await LeaseOneAsync(store);

        Assert.Equal("a\uFFFDb", lease.Entry!.LastError);
        Assert.Equal("a\uFFFDb", (await store.GetPauseAsync(Queue, Cancellation))!.Reason);
        Assert.True(await store.SettleAsync(lease.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, text), Cancellation));
        var refusal = await Assert.ThrowsAsync<QueueStoreException>(
            async () => await store.AddAsync(Entry("/1", queue: text), Cancellation));
        Assert.Contains("U+0000", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_lane_whose_name_cannot_be_sent_fails_no_call_beside_it()
    {
        const string Lane = "a\uD800";
        var store = Open();
        await AddAsync(store, Entry("/1", Lane));

        var adds = Enumerable.Range(0, 20).Select(i => store.AddAsync(Entry($"/{i}", $"{i}"), Cancellation).AsTask()).ToList();
        var lease = await store.LeaseLaneAsync(Queue, Lane, LeaseTime, Cancellation);

        await Task.WhenAll(adds);
        Assert.Equal("/1", lease!.Entry!.Request.Uri.AbsolutePath);
    }

    public override async ValueTask DisposeAsync()
    {
        await Database.ExecuteAsync("""
            DROP TRIGGER IF EXISTS test ON bgsync.entry;
            DROP SEQUENCE IF EXISTS public.tries;
            DROP TABLE IF EXISTS public.seen;
            """);
        await base.DisposeAsync();
    }

    private static async Task<long> AddAsync(PostgreSqlQueueStore store, NewEntry entry) => (await store.AddAsync(entry, Cancellation)).Id;

    private Task RaiseOnInsertAsync(string statement) => Database.ExecuteAsync($"""
        CREATE OR REPLACE FUNCTION public.on_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement} RETURN NEW; END $$;
        CREATE TRIGGER test BEFORE INSERT ON bgsync.entry FOR EACH ROW EXECUTE FUNCTION public.on_insert();
        """);

    /// <summary>Holds every lane until it is rolled back or disposed of.</summary>
    private async Task<NpgsqlTransaction> LockLanesAsync()
    {
        var connection = await Database.Direct.OpenConnectionAsync(Cancellation);
        var transaction = await connection.BeginTransactionAsync(Cancellation);
        await using var command = new NpgsqlCommand("SELECT FROM bgsync.lane FOR UPDATE", connection, transaction);
        await command.ExecuteNonQueryAsync(Cancellation);
        return transaction;
    }

    private Task UntilWaitingAsync() => Eventually.TrueAsync(
        () => Database.ScalarAsync(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
            .GetAwaiter().GetResult() > 0,
        "a call waits for a lock");
}

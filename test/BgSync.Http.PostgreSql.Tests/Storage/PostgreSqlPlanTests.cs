using System.Globalization;
using BgSync.Http.Outcomes;
using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Npgsql;
using TestKit;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

/// <summary>No statement costs more for a longer queue: none reads a table from one end to the other, whatever the server has counted.</summary>
public sealed class PostgreSqlPlanTests(ClassDatabase shared) : PostgreSqlStoreFixture(shared)
{
    // Beyond the number of runs after which the server may settle for one plan for all arguments.
    private const int Runs = 8;

    private static readonly string[] _indexesOfLanes = ["lane_due", "lane_head"];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Every_statement_of_the_store_uses_an_index(bool isOneLane)
    {
        await FillAsync(isOneLane ? "''" : "'lane ' || i");
        await using (var dataSource = Connect("-c application_name=measured"))
        {
            var store = Open(dataSource: dataSource);
            for (var run = 0; run < Runs; run++)
            {
                await UseAsync(store, run);
            }

            await store.DisposeAsync();
        }

        // The counts of a session are known for sure when it is over.
        await Eventually.TrueAsync(
            () => Database.ScalarAsync("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'measured'")
                .GetAwaiter().GetResult() == 0,
            "the store's sessions are over");

        // A few lanes are read whole, and rightly so.
        string[] ofLanes = isOneLane ? [] : ["lane"];
        foreach (var table in (IEnumerable<string>)["entry", .. ofLanes, "dead_letter", "attempt", "receipt", "body_chunk"])
        {
            var read = await Database.ScalarAsync($"SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = '{table}'");
            Assert.Equal((table, 0L), (table, read));
        }

        foreach (var index in (IEnumerable<string>)
            ["entry_lane", "entry_queue", "entry_expiry", "entry_coalesce", "entry_prerequisite", .. isOneLane ? [] : _indexesOfLanes])
        {
            var scans = await Database.ScalarAsync($"SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{index}'");
            Assert.NotEqual((index, 0L), (index, scans));
        }
    }

    [Fact]
    public async Task A_claim_reads_no_more_rows_than_it_leases()
    {
        await FillAsync("'lane ' || i");
        await using var connection = await Database.Direct.OpenConnectionAsync(Cancellation);
        await using var command = new NpgsqlCommand(
            """
            EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF)
            SELECT queue, name, visible_at FROM bgsync.lane
            WHERE queue = 'orders' AND origin = 'https://api.example.com' AND (head_position + 576460752303423488) >> 60 = 0
                AND visible_at <= bgsync.now_ms()
            ORDER BY visible_at LIMIT 10
            FOR UPDATE SKIP LOCKED
            """,
            connection);
        var plan = new List<string>();
        await using (var reader = await command.ExecuteReaderAsync(Cancellation))
        {
            while (await reader.ReadAsync(Cancellation))
            {
                plan.Add(reader.GetString(0));
            }
        }

        var scan = Assert.Single(plan, line => line.Contains("using lane_due", StringComparison.Ordinal));
        Assert.Contains("actual rows=10 ", scan, StringComparison.Ordinal);
    }

    /// <summary>100,000 entries, each third of them with a dead letter, a receipt and an attempt beside it.</summary>
    private async Task FillAsync(string lane)
    {
        await Database.ExecuteAsync(string.Create(CultureInfo.InvariantCulture, $"""
            INSERT INTO bgsync.entry
            SELECT i, i, 0, NULL, 0, false, 0, '{Queue}', {lane}, 0, 9223372036854775807 - i, 'POST', '{Origin}/a', '{Origin}', '1.1', 0, '[]',
                NULL, NULL, NULL, i, 3, 0, 'key ' || i, CASE WHEN i % 50 = 0 THEN i - 1 END, 0
            FROM generate_series(1, 100000) AS i;
            INSERT INTO bgsync.lane
            SELECT DISTINCT ON (queue, lane) queue, lane, id, position, origin, id, 0, 0, NULL FROM bgsync.entry
            ORDER BY queue, lane, position;
            INSERT INTO bgsync.body_chunk SELECT i, 0, 0, 'abc' FROM generate_series(1, 100000) AS i;
            INSERT INTO bgsync.dead_letter (id, reason, died_at, attempts, queue)
            SELECT 1000000 + i, 1, i, 0, '{Queue}' FROM generate_series(1, 30000) AS i;
            INSERT INTO bgsync.receipt (id, queue, state, at) SELECT 2000000 + i, '{Queue}', 1, i FROM generate_series(1, 30000) AS i;
            INSERT INTO bgsync.attempt SELECT 1000000 + i, 1, 0, 500, 'HTTP 500' FROM generate_series(1, 30000) AS i;
            INSERT INTO bgsync.tally VALUES ('{Queue}', 0, 100000, 30000, 300000);
            SELECT setval('bgsync.back_position', 100000), setval('bgsync.id_block', 3000001);
            ANALYZE;
            """));

        // The reads so far do not count.
        await Database.ExecuteAsync("SELECT pg_stat_force_next_flush()");
        await Database.ExecuteAsync("SELECT pg_stat_reset()");
    }

    /// <summary>Four of a lane, three of which are leased together.</summary>
    private static async Task SendSomeAsync(PostgreSqlQueueStore store, string lane)
    {
        if (await store.LeaseLaneAsync(Queue, lane, LeaseTime, Cancellation) is not { } first)
        {
            return;
        }

        var next = (await GoOnAsync(store, first, limit: 3)).Next;
        Assert.Equal(3, next.Count);
        Assert.True(await store.SettleAsync([Delivered(next[0])], next[1].Lease, Cancellation));
        Assert.True(await store.RenewAsync(next[0].Lease, LeaseTime, Cancellation));
        Assert.True(await store.SettleAsync([new(next[1].Lease, null), new(next[2].Lease, null)], rest: null, Cancellation));
    }

    private static async Task UseAsync(PostgreSqlQueueStore store, int run)
    {
        var limits = new QueueLimits(99_990, null, run % 2 == 0 ? WhenFull.DropOldest : WhenFull.DropFirstToExpire);
        var (first, _) = await store.AddAsync(Entry($"/{run}", "new"), Cancellation);
        for (var i = 0; i < 4; i++)
        {
            await store.AddAsync(Entry($"/{run}/{i}", "new"), Cancellation);
        }

        await store.AddAsync(
            Entry($"/{run}", "other") with { Prerequisite = first, CoalesceKey = "key", Body = EntryBody.FromBytes(new byte[9]) }, Cancellation);
        await store.AddAsync(Entry($"/{run}", "limited") with { Limits = limits }, Cancellation);
        var held = await store.BeginWriteAheadAsync(Entry("/held", "held"), true, Cancellation);
        await store.CommitWriteAheadAsync(held, new WriteAheadCommit(TimeSpan.Zero), Cancellation);

        Assert.Single(await store.GetScheduleAsync(Queue, Cancellation));
        var leased = await store.LeaseAsync(Queue, Origin, 4, LeaseTime, Cancellation);
        await store.RenewAsync(leased[0].Lease, LeaseTime, Cancellation);
        await store.CompleteAsync(leased[0].Lease, new Settlement.Delivered(200), Cancellation);
        if (leased.Count > 1)
        {
            await store.SettleAsync(leased[1].Lease, new Settlement.Retry(TimeSpan.FromHours(1), true, "HTTP 500"), Cancellation);
            await store.SettleAsync(leased[2].Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 500", LeavesLane: true), Cancellation);
            await store.SettleAsync(leased[3].Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        }

        await SendSomeAsync(store, "");
        await SendSomeAsync(store, "new");

        await store.HasEntriesAsync(Queue, "new", Cancellation);
        await store.ClearBackoffAsync(Queue, false, Cancellation);
        await store.ExpireAsync(Queue, 2, true, Cancellation);
        await store.ReclaimAsync(Cancellation);
        await foreach (var _ in store.ReadAsync(Queue, QueueEnd.Front, Cancellation).Take(5).WithCancellation(Cancellation))
        {
        }

        await foreach (var _ in store.ReadAsync(Queue, QueueEnd.Back, Cancellation).Take(5).WithCancellation(Cancellation))
        {
        }

        await foreach (var letter in store.ReadDeadLettersAsync(Queue, Cancellation).Take(2).WithCancellation(Cancellation))
        {
            await store.RequeueAsync(Queue, letter.Id, DateTimeOffset.MaxValue, Cancellation);
            await store.DeleteDeadLetterAsync(Queue, letter.Id, Cancellation);
        }

        var last = (await store.FindLastAsync(Queue, "key", Cancellation))!;
        await store.ReplaceAsync(last with { Lane = "moved" }, EntryBody.FromBytes(new byte[3]), TimeSpan.FromHours(1), Cancellation);
        await store.GetHistoryAsync(Queue, last.Id, Cancellation);
        await store.GetReceiptAsync(Queue, last.Id, Cancellation);
        await using (await store.OpenBodyAsync(Queue, last.Id, Cancellation))
        {
        }

        await store.RemoveAsync(Queue, last.Id, null, Cancellation);
        await store.ClearAsync(Queue, 2, Cancellation);
        await store.TrimDeadLettersAsync(Queue, DateTimeOffset.UnixEpoch.AddMilliseconds(5), 29_000, 2, Cancellation);
        await store.ForgetReceiptsAsync(Queue, DateTimeOffset.UnixEpoch.AddMilliseconds(500), 2, Cancellation);
        await store.CountAsync(Queue, Cancellation);
    }
}

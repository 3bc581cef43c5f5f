using System.Collections.Concurrent;
using System.Globalization;
using BgSync.Http.Outcomes;
using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

/// <summary>Several stores on one database, as the processes of a fleet have them.</summary>
public sealed class PostgreSqlConcurrencyTests(ClassDatabase shared) : PostgreSqlStoreFixture(shared)
{
    [Fact]
    public async Task Two_stores_drain_a_queue_each_entry_once_and_each_lane_in_its_order()
    {
        const int lanes = 12;
        const int entries = 240;
        PostgreSqlQueueStore[] stores = [Open(), Open()];
        for (var i = 0; i < entries; i++)
        {
            await stores[i % 2].AddAsync(Entry($"/{i}", "lane " + (i % lanes)), Cancellation);
        }

        var sent = new ConcurrentQueue<(string Lane, int Number)>();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var store = stores[worker % 2];
            while ((await store.CountAsync(Queue, Cancellation)).Pending > 0)
            {
                foreach (var leased in await store.LeaseAsync(Queue, Origin, 3, LeaseTime, Cancellation))
                {
                    sent.Enqueue((leased.Entry!.Lane, int.Parse(leased.Entry.Request.Uri.AbsolutePath[1..], CultureInfo.InvariantCulture)));
                    Assert.True(await store.CompleteAsync(leased.Lease, null, Cancellation));
                }
            }
        })));

        Assert.Equal(Enumerable.Range(0, entries), sent.Select(one => one.Number).Order());
        Assert.All(sent.GroupBy(one => one.Lane, one => one.Number), lane => Assert.Equal(lane.Order(), lane));
        await AssertConsistentAsync();
        Assert.Equal(0, await Database.ScalarAsync("SELECT count(*) FROM bgsync.lane"));
    }

    [Fact]
    public async Task Two_stores_drain_a_queue_several_of_a_lane_together_each_entry_once_and_each_lane_in_its_order()
    {
        const int entries = 300;
        PostgreSqlQueueStore[] stores = [Open(), Open()];
        await Task.WhenAll(Enumerable.Range(0, 5).Select(async lane =>
        {
            for (var i = lane; i < entries; i += 5)
            {
                await stores[i % 2].AddAsync(Entry($"/{i}", "lane " + lane), Cancellation);
            }
        }));

        var sent = new ConcurrentQueue<(string Lane, int Number)>();
        await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(async () =>
        {
            var (store, random) = (stores[worker % 2], new Random(worker));
            while ((await store.CountAsync(Queue, Cancellation)).Pending > 0)
            {
                foreach (var first in await store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation))
                {
                    await SendAsync(store, random, first);
                }
            }
        })));

        Assert.Equal(Enumerable.Range(0, entries), sent.Select(one => one.Number).Order());
        Assert.All(sent.GroupBy(one => one.Lane, one => one.Number), lane => Assert.Equal(lane.Order(), lane));
        await AssertConsistentAsync();
        Assert.Equal(0, await Database.ScalarAsync("SELECT count(*) FROM bgsync.lane"));

        async Task SendAsync(PostgreSqlQueueStore store, Random random, LeasedEntry first)
        {
            Note(first);
            var completion = await GoOnAsync(store, first, limit: 6);
            while (completion.Next is { Count: > 0 } run)
            {
                Assert.True(completion.IsDone);
                var part = random.Next(run.Count);
                foreach (var leased in run)
                {
                    Note(leased);
                }

                Assert.True(part == 0 || await store.SettleAsync([.. run.Take(part).Select(Delivered)], run[part].Lease, Cancellation));
                completion = await store.SettleAsync(
                    [.. run.Skip(part).Select(Delivered)], new NextLease(Origin, 6, long.MaxValue, LeaseTime), Cancellation);
            }

            Assert.True(completion.IsDone);
        }

        void Note(LeasedEntry leased) =>
            sent.Enqueue((leased.Entry!.Lane, int.Parse(leased.Entry.Request.Uri.AbsolutePath[1..], CultureInfo.InvariantCulture)));
    }

    [Fact]
    public async Task Whatever_races_the_lanes_stay_whole()
    {
        PostgreSqlQueueStore[] stores = [Open(), Open(), Open()];
        var added = new ConcurrentQueue<long>();
        await Task.WhenAll(Enumerable.Range(0, 18).Select(worker => Task.Run(() => RaceAsync(stores[worker % 3], new Random(worker), added))));

        await AssertConsistentAsync();

        // Nothing is stuck: with time, and with what is dead put back, all of it can be sent.
        await foreach (var letter in stores[0].ReadDeadLettersAsync(Queue, Cancellation))
        {
            await stores[1].RequeueAsync(Queue, letter.Id, DateTimeOffset.MaxValue, Cancellation);
        }

        await AssertConsistentAsync();
        while ((await stores[0].CountAsync(Queue, Cancellation)).Pending > 0)
        {
            await stores[0].ClearBackoffAsync(Queue, onlyEndless: false, Cancellation);
            var due = await stores[0].LeaseAsync(Queue, Origin, 100, LeaseTime, Cancellation);
            Assert.NotEmpty(due);
            foreach (var leased in due)
            {
                Assert.True(leased.IsReadable);
                Assert.True(await stores[0].CompleteAsync(leased.Lease, null, Cancellation));
            }
        }

        await AssertConsistentAsync();
        Assert.Equal(0, await Database.ScalarAsync("SELECT count(*) FROM bgsync.lane"));
    }

    [Fact]
    public async Task What_is_added_in_front_while_its_lane_is_leased_is_leased_whole()
    {
        PostgreSqlQueueStore[] stores = [Open(), Open(), Open()];
        var adding = Task.WhenAll(stores.Select(store => Task.Run(async () =>
        {
            for (var i = 0; i < 150; i++)
            {
                await store.AddAsync(Entry("/" + i, "lane " + (i % 2)) with { End = QueueEnd.Front }, Cancellation);
            }
        })));
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            var store = stores[worker % 3];
            while (!adding.IsCompleted)
            {
                foreach (var leased in await store.LeaseAsync(Queue, Origin, 2, LeaseTime, Cancellation))
                {
                    Assert.Null(leased.Damage);
                    Assert.True(await store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.Zero, false), Cancellation));
                }
            }
        })));

        await adding;
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task A_dependent_that_is_added_while_its_prerequisite_is_delivered_never_waits_for_ever()
    {
        PostgreSqlQueueStore[] stores = [Open(), Open()];
        for (var i = 0; i < 40; i++)
        {
            var (first, _) = await stores[0].AddAsync(Entry("/1", "a"), Cancellation);
            var lease = (await LeaseOneAsync(stores[0])).Lease;

            await Task.WhenAll(
                stores[0].CompleteAsync(lease, null, Cancellation).AsTask(),
                stores[1].AddAsync(Entry("/2", i % 2 == 0 ? "a" : "b") with { Prerequisite = first }, Cancellation).AsTask());

            await AssertConsistentAsync();
            Assert.True(await stores[1].CompleteAsync((await LeaseOneAsync(stores[1])).Lease, null, Cancellation));
        }
    }

    [Fact]
    public async Task A_limit_holds_to_the_entry_among_all_who_keep_it()
    {
        PostgreSqlQueueStore[] stores = [Open(), Open(), Open()];
        var limits = new QueueLimits(20, null, WhenFull.RefuseNew);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 60).Select(async i =>
        {
            try
            {
                await stores[i % 3].AddAsync(Entry($"/{i}", "lane " + i) with { Limits = limits }, Cancellation);
                return true;
            }
            catch (QueueStoreException e) when (e.Fault == StoreFault.QueueFull)
            {
                return false;
            }
        }));

        Assert.Equal(20, outcomes.Count(isAdded => isAdded));
        Assert.Equal(20, (await stores[0].CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task Callers_that_write_at_once_share_commits()
    {
        var store = Open();
        await store.AddAsync(Entry(), Cancellation);
        var before = store.Commits;

        await Task.WhenAll(Enumerable.Range(0, 400).Select(i => store.AddAsync(Entry($"/{i}", "lane " + (i % 7)), Cancellation).AsTask()));

        Assert.InRange(store.Commits - before, 1, 40);
        Assert.Equal(401, (await store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task A_lease_is_its_store_s_own_and_the_token_s()
    {
        var (holder, other) = (Open(), Open());
        await holder.AddAsync(Entry(), Cancellation);
        await holder.AddAsync(Entry(), Cancellation);
        var lease = (await LeaseOneAsync(holder)).Lease;

        Assert.False(await other.CompleteAsync(lease, null, Cancellation));
        Assert.False(await other.RenewAsync(lease, LeaseTime, Cancellation));
        Assert.False(await holder.CompleteAsync(lease with { Token = Guid.NewGuid() }, null, Cancellation));
        var behind = lease with { EntryId = lease.EntryId + 1 };
        Assert.False(await holder.SettleAsync(behind, new Settlement.Retry(TimeSpan.Zero, true), Cancellation));
        Assert.False(await holder.SettleAsync([new(lease, null), new(behind, null)], rest: null, Cancellation));
        Assert.False(await holder.SettleAsync([new(lease, null)], behind, Cancellation));

        Assert.True(await holder.CompleteAsync(lease, null, Cancellation));
    }

    private static async Task RaceAsync(PostgreSqlQueueStore store, Random random, ConcurrentQueue<long> added)
    {
        for (var round = 0; round < 60; round++)
        {
            var id = added.IsEmpty ? 0 : added.ElementAt(random.Next(added.Count));
            switch (random.Next(12))
            {
                case 0:
                    await store.RemoveAsync(Queue, id, null, Cancellation);
                    break;
                case 1 when await store.FindAsync(Queue, id, Cancellation) is { } entry:
                    EntryBody? body = random.Next(2) == 0 ? EntryBody.FromBytes(new byte[random.Next(50)]) : null;
                    await store.ReplaceAsync(entry with { Lane = Lane() }, body, TimeSpan.FromMilliseconds(random.Next(3)), Cancellation);
                    break;
                case 2:
                    await store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation);
                    break;
                case 3:
                    await store.ClearAsync(Queue, 2, Cancellation);
                    await store.ExpireAsync(Queue, 2, keep: true, Cancellation);
                    break;
                case 4:
                    var held = await store.BeginWriteAheadAsync(Entry("/held", Lane()), true, Cancellation);
                    await store.CommitWriteAheadAsync(held, new WriteAheadCommit(TimeSpan.Zero), Cancellation);
                    break;
                case < 8:
                    await SettleAsync(store, random);
                    break;
                default:
                    var limits = random.Next(3) == 0 ? new QueueLimits(30, null, WhenFull.DropOldest) : null;
                    await AddAsync(store, added, Entry("/" + round, Lane()) with
                    {
                        End = (QueueEnd)random.Next(2),
                        Priority = (EntryPriority)(random.Next(3) - 1),
                        Prerequisite = random.Next(3) == 0 ? id : null,
                        Body = EntryBody.FromBytes(new byte[random.Next(40)]),
                        ExpiresAt = random.Next(4) == 0 ? DateTimeOffset.UnixEpoch : DateTimeOffset.MaxValue,
                        Limits = limits,
                    });
                    break;
            }
        }

        string Lane() => "lane " + random.Next(5);
    }

    private static async Task AddAsync(PostgreSqlQueueStore store, ConcurrentQueue<long> added, NewEntry entry)
    {
        try
        {
            added.Enqueue((await store.AddAsync(entry, Cancellation)).Id);
        }
        catch (PrerequisiteException)
        {
            // It would have stood before what it waits for.
        }
    }

    private static async Task SettleAsync(PostgreSqlQueueStore store, Random random)
    {
        foreach (var leased in await store.LeaseAsync(Queue, Origin, 3, LeaseTime, Cancellation))
        {
            Assert.True(leased.IsReadable);
            Assert.True(random.Next(6) switch
            {
                0 => await store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 500"), Cancellation),
                1 => await store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.Zero, true, LeavesLane: true), Cancellation),
                2 => await store.SettleAsync(leased.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation),
                3 or 4 => await GoOnAndSettleAsync(store, random, leased),
                _ => await store.CompleteAsync(leased.Lease, null, Cancellation),
            });
        }
    }

    private static async Task<bool> GoOnAndSettleAsync(PostgreSqlQueueStore store, Random random, LeasedEntry leased)
    {
        var (isDone, run) = await GoOnAsync(store, leased, limit: 4);
        if (run.Count == 0)
        {
            return isDone;
        }

        var sent = random.Next(run.Count);
        return (sent == 0 || await store.SettleAsync([.. run.Take(sent).Select(Delivered)], run[sent].Lease, Cancellation))
            && random.Next(3) switch
            {
                0 => await store.SettleAsync(run[sent].Lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 500"), Cancellation),
                1 => await store.SettleAsync(run[sent].Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation),
                _ => await store.SettleAsync([.. run.Skip(sent).Select(Delivered)], rest: null, Cancellation),
            };
    }
}

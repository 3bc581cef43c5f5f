using System.Collections.Concurrent;
using System.Globalization;
using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>The promises of a store that several processes may open on the same storage at once.</summary>
public abstract class SharedStoreContractTests : DurableStoreContractTests
{
    private static readonly Settlement.Retry _atOnce = new(TimeSpan.Zero, CountsAsAttempt: true, "HTTP 503");

    private readonly List<IQueueStore> _others = [];

    public override async ValueTask DisposeAsync()
    {
        foreach (var other in _others)
        {
            await other.DisposeAsync();
        }

        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends a store as the death of its process does, and returns when the others know of it and have been heard of.</summary>
    private protected virtual async Task KillAsync(IQueueStore store)
    {
        await store.DisposeAsync();
        Clock.Advance(OwnerTimeout);
    }

    [Fact]
    public async Task What_one_store_changes_the_others_see()
    {
        var other = OpenOther();
        var id = await AddAsync(Entry("/1"));
        await Store.SetPauseAsync(Queue, new QueuePause(PauseCause.Application, "lunch", Clock.GetUtcNow()), Cancellation);

        Assert.Equal("lunch", (await other.GetPauseAsync(Queue, Cancellation))!.Reason);
        Assert.Equal(new QueueCounts(1, 0, 0), await other.CountAsync(Queue, Cancellation));
        var lease = (await LeaseOneAsync()).Lease;
        Assert.True((await other.FindAsync(Queue, id, Cancellation))!.IsLeased);
        Assert.Equal(EntryChange.InFlight, await other.RemoveAsync(Queue, id, null, Cancellation));
        await Store.SettleAsync(lease, _atOnce, Cancellation);
        Assert.Equal(EntryChange.Done, await other.RemoveAsync(Queue, id, null, Cancellation));
        Assert.Null(await Store.FindAsync(Queue, id, Cancellation));
    }

    [Fact]
    public async Task A_lease_and_a_held_request_are_of_no_use_to_another_store()
    {
        var other = OpenOther();
        await Store.AddAsync(Entry(), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;
        var held = await BeginWriteAheadAsync(Entry());

        await AssertVoidAsync(other, lease);
        Assert.Null(await other.CommitWriteAheadAsync(held, new(TimeSpan.Zero), Cancellation));
        Assert.False(await other.DiscardWriteAheadAsync(held, Cancellation));

        Assert.True(await Store.CompleteAsync(lease, null, Cancellation));
        Assert.True(await Store.DiscardWriteAheadAsync(held, Cancellation));
    }

    [Fact]
    public async Task A_lease_that_ran_out_is_taken_by_another_store_and_nothing_is_left_of_it()
    {
        var other = OpenOther();
        await Store.AddAsync(Entry(), Cancellation);
        var lost = (await LeaseOneAsync()).Lease;
        Assert.Empty(await other.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(LeaseTime);

        var taken = Assert.Single(await other.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));

        Assert.Equal(1, taken.Entry!.Attempts);
        await AssertVoidAsync(Store, lost);
        Assert.True(await other.CompleteAsync(taken.Lease, null, Cancellation));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task What_a_dead_store_held_and_began_is_taken_over_once_and_that_of_the_living_is_not()
    {
        IQueueStore[] survivors = [Store, OpenOther(), OpenOther()];
        var victim = OpenOther();
        await using var living = await Store.BeginBodyAsync(Cancellation);
        await living.WriteAsync(new byte[100], Cancellation);
        var mine = await BeginWriteAheadAsync(Entry("/mine"));
        var begun = await victim.BeginBodyAsync(Cancellation);
        await begun.WriteAsync(new byte[300_000], Cancellation);
        await victim.BeginWriteAheadAsync(Entry("/held"), isRepeatable: true, Cancellation);
        await victim.BeginWriteAheadAsync(Entry("/once"), isRepeatable: false, Cancellation);
        await Store.AddAsync(Entry("/after"), Cancellation);
        foreach (var survivor in survivors)
        {
            Assert.Equal(ReclaimedWork.None, await survivor.ReclaimAsync(Cancellation));
        }

        var before = await CountBodiesAsync();
        await KillAsync(victim);
        var works = await Task.WhenAll(survivors.Select(survivor => Task.Run(() => survivor.ReclaimAsync(Cancellation).AsTask())));

        Assert.Equal(["/held"], works.SelectMany(work => work.Entries).Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal(["/once"], works.SelectMany(work => work.DeadLetters).Select(letter => letter.Entry!.Request.Uri.AbsolutePath));
        Assert.Equal(new QueueCounts(2, 1, 0), await Store.CountAsync(Queue, Cancellation));
        Assert.InRange(await CountBodiesAsync(), 1, before - 1);
        await Store.AddAsync(Entry("/last") with { Body = EntryBody.FromWriter(living) }, Cancellation);
        Assert.NotNull(await Store.CommitWriteAheadAsync(mine, new(TimeSpan.Zero), Cancellation));
        await AssertDrainsAsync("/mine", "/held", "/after", "/last");
    }

    [Fact]
    public async Task A_lease_of_a_dead_store_is_void_when_its_time_is_up_and_its_attempt_counts()
    {
        var victim = OpenOther();
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2"), Cancellation);
        Assert.Single(await victim.LeaseAsync(Queue, Origin, 1, OwnerTimeout + LeaseTime, Cancellation));
        Assert.Equal(0, (await Store.ReclaimAsync(Cancellation)).Leases);
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));

        await KillAsync(victim);
        await Store.ReclaimAsync(Cancellation);
        Clock.Advance(LeaseTime);

        var again = await LeaseOneAsync();
        Assert.Equal(("/1", 1), (again.Entry!.Request.Uri.AbsolutePath, again.Entry.Attempts));
    }

    [Fact]
    public async Task Stores_that_are_opened_at_once_on_nothing_become_one()
    {
        IQueueStore[] stores = [Store, OpenOther(), OpenOther(), OpenOther()];

        var ids = await Task.WhenAll(stores.Select(store => Task.Run(async () => (await store.AddAsync(Entry(), Cancellation)).Id)));

        Assert.Equal(4, ids.Distinct().Count());
        Assert.Equal(4, (await Store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task A_limit_holds_for_all_stores_together()
    {
        IQueueStore[] stores = [Store, OpenOther()];
        var limited = Entry() with { Limits = new(10, null, WhenFull.RefuseNew) };

        var faults = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(
            () => Record.ExceptionAsync(async () => await stores[i % 2].AddAsync(limited, Cancellation)).AsTask())));

        Assert.All(faults.OfType<Exception>(), fault => Assert.Equal(StoreFault.QueueFull, ((QueueStoreException)fault).Fault));
        Assert.Equal(10, faults.Count(fault => fault is null));
        Assert.Equal(10, (await Store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task What_waits_for_an_entry_is_let_go_although_another_store_delivers_that_one_at_the_same_time()
    {
        var other = OpenOther();
        for (var i = 0; i < 30; i++)
        {
            var id = await AddAsync(Entry("/first", "first"));
            var lease = (await LeaseOneAsync()).Lease;
            var delivery = Task.Run(() => Store.CompleteAsync(lease, null, Cancellation).AsTask());
            await other.AddAsync(Entry("/second", "second") with { Prerequisite = id }, Cancellation);
            Assert.True(await delivery);

            await AssertDrainsAsync("/second");
        }
    }

    /// <summary>Two stores add to a few lanes while both of them send, with failures in between.</summary>
    [Fact(Timeout = 120_000)]
    public async Task Stores_that_add_and_send_at_once_lose_nothing_send_nothing_twice_and_keep_the_order_of_each_lane()
    {
        const int Lanes = 3;
        const int Adds = 120;
        IQueueStore[] stores = [Store, OpenOther()];
        var sent = new ConcurrentQueue<(string Lane, int Adder, int Number)>();
        var inFlight = new ConcurrentDictionary<string, int>();

        var adders = Task.WhenAll(stores.Select((store, i) => Task.Run(() => AddAllAsync(store, i))));
        await Task.WhenAll(stores.SelectMany((IQueueStore store, int i) =>
            (Task[])[Task.Run(() => SendAllAsync(store, new Random(2 * i))), Task.Run(() => SendAllAsync(store, new Random((2 * i) + 1)))]));

        Assert.Equal(2 * Adds, sent.Count);
        foreach (var row in sent.GroupBy(one => (one.Lane, one.Adder)))
        {
            Assert.Equal(Enumerable.Range(0, Adds).Where(number => $"{number % Lanes}" == row.Key.Lane), row.Select(one => one.Number));
        }

        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));

        async Task AddAllAsync(IQueueStore store, int adder)
        {
            for (var number = 0; number < Adds; number++)
            {
                await store.AddAsync(Entry($"/{adder}/{number}", $"{number % Lanes}"), Cancellation);
            }
        }

        async Task SendAllAsync(IQueueStore store, Random random)
        {
            while (!adders.IsCompleted || (await store.CountAsync(Queue, Cancellation)).Pending > 0)
            {
                foreach (var (lease, entry) in await TakeAsync(store, random))
                {
                    var isDelivered = random.Next(3) > 0;
                    if (isDelivered)
                    {
                        var parts = entry!.Request.Uri.AbsolutePath.Split('/');
                        sent.Enqueue((
                            entry.Lane,
                            int.Parse(parts[1], CultureInfo.InvariantCulture),
                            int.Parse(parts[2], CultureInfo.InvariantCulture)));
                    }

                    Assert.True(inFlight.TryRemove(entry!.Lane, out _));
                    Assert.True(isDelivered
                        ? await store.CompleteAsync(lease, null, Cancellation)
                        : await store.SettleAsync(lease, _atOnce, Cancellation));
                }
            }

            await adders;
        }

        async Task<IEnumerable<(Lease Lease, QueuedEntry? Entry)>> TakeAsync(IQueueStore store, Random random)
        {
            var leased = random.Next(2) == 0
                ? await store.LeaseAsync(Queue, Origin, 2, LeaseTime, Cancellation)
                : await store.LeaseLaneAsync(Queue, $"{random.Next(Lanes)}", LeaseTime, Cancellation) is { } one ? [one] : [];
            Assert.All(leased, one => Assert.True(inFlight.TryAdd(one.Entry!.Lane, 0)));
            return leased.Select(one => (one.Lease, one.Entry));
        }
    }

    private IQueueStore OpenOther()
    {
        var store = OpenStore();
        _others.Add(store);
        return store;
    }

    private static async Task AssertVoidAsync(IQueueStore store, Lease lease)
    {
        Assert.False(await store.RenewAsync(lease, LeaseTime, Cancellation));
        Assert.False(await store.SettleAsync(lease, _atOnce, Cancellation));
        Assert.False(await store.SettleAsync(lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation));
        Assert.False(await store.CompleteAsync(lease, new Settlement.Delivered(200), Cancellation));
    }
}

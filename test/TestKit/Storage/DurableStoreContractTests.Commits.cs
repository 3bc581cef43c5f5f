using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>Callers that share commits.</summary>
public abstract partial class DurableStoreContractTests
{
    // One for the first caller, one for all that come while it waits, and one for those who come in the midst of that; and as many as a
    // store has connections that write.
    private const long FewCommits = 4;

    /// <summary>How many transactions a store has committed.</summary>
    private protected abstract long CommitsOf(IQueueStore store);

    /// <summary>Keeps the store from committing until the result is disposed of; what is asked of it meanwhile waits.</summary>
    protected abstract Task<IAsyncDisposable> HoldCommitsAsync();

    [Fact]
    public async Task Callers_that_write_at_once_share_commits()
    {
        await Store.AddAsync(Entry(), Cancellation);
        var before = CommitsOf(Store);

        var adds = await RunAtOnceAsync(() => Enumerable.Range(0, 200).Select(_ => AddAsync(Entry())));
        Assert.Equal(200, (await Task.WhenAll(adds)).Distinct().Count());

        Assert.InRange(CommitsOf(Store) - before, 1, FewCommits);
        Assert.Equal(201, (await Store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task Callers_that_lease_and_settle_at_once_share_commits()
    {
        for (var i = 0; i < 60; i++)
        {
            await Store.AddAsync(Entry(lane: $"{i}"), Cancellation);
        }

        var before = CommitsOf(Store);
        var leases = await Task.WhenAll(await RunAtOnceAsync(
            () => Enumerable.Range(0, 60).Select(_ => Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation).AsTask())));
        var settled = await Task.WhenAll(await RunAtOnceAsync(
            () => leases.Select((leased, i) => SettleAsync(Assert.Single(leased).Lease, i % 3))));

        Assert.All(settled, Assert.True);
        Assert.Equal(60, leases.Select(leased => leased[0].Lease.EntryId).Distinct().Count());
        Assert.InRange(CommitsOf(Store) - before, 2, 2 * FewCommits);
        Assert.Equal(new QueueCounts(20, 20, 0), await Store.CountAsync(Queue, Cancellation));

        async Task<bool> SettleAsync(Lease lease, int how) => how switch
        {
            0 => await Store.CompleteAsync(lease, new Settlement.Delivered(200), Cancellation),
            1 => await Store.SettleAsync(lease, new Settlement.Retry(TimeSpan.Zero, true, "HTTP 503"), Cancellation),
            _ => await Store.SettleAsync(lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation),
        };
    }

    [Fact]
    public async Task A_refusal_costs_those_who_share_its_commit_nothing()
    {
        await Store.AddAsync(Entry(), Cancellation);
        var before = CommitsOf(Store);

        var adds = await RunAtOnceAsync<long>(() =>
        [
            AddAsync(Entry()),
            .. Enumerable.Range(0, 50).Select(_ => AddAsync(Entry() with { Limits = new(1, null, WhenFull.RefuseNew) })),
        ]);

        await adds[0];
        foreach (var refused in adds.Skip(1))
        {
            Assert.Equal(StoreFault.QueueFull, (await Assert.ThrowsAsync<QueueStoreException>(() => refused)).Fault);
        }

        Assert.InRange(CommitsOf(Store) - before, 1, FewCommits);
        Assert.Equal(2, (await Store.CountAsync(Queue, Cancellation)).Pending);
    }

    [Fact]
    public async Task An_operation_that_fails_fails_alone()
    {
        await using var body = await Store.BeginBodyAsync(Cancellation);
        await body.WriteAsync(new byte[10], Cancellation);
        var taken = Entry("/taken") with { Body = EntryBody.FromWriter(body) };
        var last = await AddAsync(Entry("/last"));

        var adds = await RunAtOnceAsync<long>(() =>
        [
            AddAsync(taken),
            AddAsync(taken),
            AddAsync(Entry("/first") with { End = QueueEnd.Front, Prerequisite = last }),
            .. Enumerable.Range(0, 20).Select(_ => AddAsync(Entry("/good"))),
        ]);

        var failures = await Task.WhenAll(adds.Select(async add => await Record.ExceptionAsync(() => add)));
        Assert.Single(failures[..2], failure => failure is InvalidOperationException);
        Assert.Single(failures[..2], failure => failure is null);
        Assert.IsType<PrerequisiteException>(failures[2]);
        Assert.All(failures[3..], Assert.Null);
        Assert.Equal(new QueueCounts(22, 0, 10), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task What_is_cancelled_before_its_turn_is_not_done_and_costs_the_others_nothing()
    {
        using var cancelled = new CancellationTokenSource();
        List<Task<long>> adds = [];
        var hold = await HoldCommitsAsync();
        await using (hold)
        {
            adds.AddRange(Enumerable.Range(0, 5).Select(_ => AddAsync(Entry())));
            adds.AddRange(Enumerable.Range(0, 5).Select(async _ => (await Store.AddAsync(Entry(), cancelled.Token)).Id));
            await cancelled.CancelAsync();
        }

        var failures = await Task.WhenAll(adds.Select(async add => await Record.ExceptionAsync(() => add)));
        Assert.All(failures[..5], Assert.Null);
        Assert.All(failures.OfType<Exception>(), failure => Assert.IsAssignableFrom<OperationCanceledException>(failure));
        Assert.Equal(failures.Count(failure => failure is null), (await Store.CountAsync(Queue, Cancellation)).Pending);
    }

    private async Task<List<Task<T>>> RunAtOnceAsync<T>(Func<IEnumerable<Task<T>>> start)
    {
        var hold = await HoldCommitsAsync();
        await using (hold)
        {
            return [.. start()];
        }
    }
}

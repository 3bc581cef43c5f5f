using System.Text;
using BgSync.Http.Outcomes;
using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

/// <summary>A change that is committed while the connection breaks is done once, and told as done.</summary>
public sealed class PostgreSqlLostReplyTests(ClassDatabase shared) : PostgreSqlStoreFixture(shared)
{
    private LossyRelay? _relay;
    private PostgreSqlQueueStore? _store;

    private PostgreSqlQueueStore Store => _store ??= Open(dataSource: Relay.DataSource);

    private LossyRelay Relay => _relay ??= new LossyRelay(Database.ConnectionString);

    [Fact]
    public async Task What_was_added_is_not_added_again()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        Relay.LoseReplyTo(".add(");

        var added = await Store.AddAsync(Entry("/2") with { Body = EntryBody.FromBytes("body"u8.ToArray()) }, Cancellation);

        Assert.Equal(1, Relay.Lost);
        Assert.Equal(["/1", "/2"], await ReadPathsAsync(Store));
        await using var body = await Store.OpenBodyAsync(Queue, added.Id, Cancellation);
        using var reader = new StreamReader(body!, Encoding.UTF8);
        Assert.Equal("body", await reader.ReadToEndAsync(Cancellation));
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_was_held_and_released_is_queued_once()
    {
        Relay.LoseReplyTo(".hold(");
        var held = await Store.BeginWriteAheadAsync(Entry("/1"), true, Cancellation);
        Assert.Equal(1, Relay.Lost);
        Relay.LoseReplyTo(".release(");

        var added = await Store.CommitWriteAheadAsync(held, new WriteAheadCommit(TimeSpan.Zero), Cancellation);

        Assert.Equal(2, Relay.Lost);
        Assert.Equal("/1", (await Store.FindAsync(Queue, added!.Id, Cancellation))!.Request.Uri.AbsolutePath);
        Assert.Equal(["/1"], await ReadPathsAsync(Store));
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_was_completed_is_told_as_completed()
    {
        var lease = await LeaseFirstOfTwoAsync();
        Relay.LoseReplyTo(".complete(");

        Assert.True(await Store.CompleteAsync(lease, new Settlement.Delivered(200), Cancellation));

        Assert.Equal(1, Relay.Lost);
        Assert.Equal(["/2"], await ReadPathsAsync(Store));
        Assert.Equal(ReceiptState.Delivered, (await Store.GetReceiptAsync(Queue, lease.EntryId, Cancellation))!.State);
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_was_completed_of_several_is_told_as_completed_and_the_rest_stays_leased()
    {
        var run = await LeaseTogetherAsync();
        Relay.LoseReplyTo(".complete(");

        Assert.True(await Store.SettleAsync([Delivered(run[0]), Delivered(run[1])], run[2].Lease, Cancellation));

        Assert.Equal(1, Relay.Lost);
        Assert.Equal(["/3", "/4"], await ReadPathsAsync(Store));
        Assert.True(await Store.SettleAsync([Delivered(run[2])], rest: null, Cancellation));
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_was_leased_with_a_completion_is_told_and_leased_once()
    {
        var run = await LeaseTogetherAsync();
        Relay.LoseReplyTo(".complete_and_lease_next(");

        var (isDone, next) = await GoOnAsync(Store, run[0]);

        Assert.Equal(1, Relay.Lost);
        Assert.True(isDone);
        Assert.Equal(["/2", "/3", "/4"], next.Select(static leased => leased.Entry!.Request.Uri.AbsolutePath));
        Assert.All(next, static leased => Assert.Equal((0, true), (leased.Entry!.Attempts, leased.Entry.IsLeased)));
        Assert.True(await Store.SettleAsync([.. next.Select(Delivered)], rest: null, Cancellation));
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_was_completed_with_nothing_behind_it_is_told_as_completed()
    {
        var run = await LeaseTogetherAsync();
        Assert.True(await Store.SettleAsync([Delivered(run[0]), Delivered(run[1])], run[2].Lease, Cancellation));
        await Store.RemoveAsync(Queue, run[2].Lease.EntryId + 1, null, Cancellation);
        Relay.LoseReplyTo(".complete_and_lease_next(");

        var (isDone, next) = await GoOnAsync(Store, run[2]);

        Assert.Equal((1, true, 0), (Relay.Lost, isDone, next.Count));
        Assert.Empty(await ReadPathsAsync(Store));
        await AssertConsistentAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_rescheduled_is_told_as_rescheduled_and_counts_one_attempt(bool leavesLane)
    {
        var lease = await LeaseFirstOfTwoAsync();
        Relay.LoseReplyTo(".reschedule(");

        Assert.True(await Store.SettleAsync(
            lease, new Settlement.Retry(TimeSpan.FromHours(1), true, "busy", LeavesLane: leavesLane), Cancellation));

        Assert.Equal(1, Relay.Lost);
        Assert.Equal(1, (await Store.FindAsync(Queue, lease.EntryId, Cancellation))!.Attempts);
        await AssertConsistentAsync();
    }

    [Fact]
    public async Task What_became_a_dead_letter_is_told_as_one()
    {
        var lease = await LeaseFirstOfTwoAsync();
        Relay.LoseReplyTo(".bury(");

        Assert.True(await Store.SettleAsync(lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, "no"), Cancellation));

        Assert.Equal(1, Relay.Lost);
        Assert.Equal(["/2"], await ReadPathsAsync(Store));
        Assert.Single(await Store.ReadDeadLettersAsync(Queue, Cancellation).ToListAsync(Cancellation));
        await AssertConsistentAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_lease_that_another_has_by_then_is_told_as_lost(bool isBehindItsHead)
    {
        var lease = await LeaseFirstOfTwoAsync();
        await Database.ExecuteAsync("UPDATE bgsync.lane SET lease_token = gen_random_uuid()");
        if (isBehindItsHead)
        {
            await Database.ExecuteAsync("UPDATE bgsync.lane SET leased_behind = ARRAY[head_id], head_id = head_id + 1");
        }

        Relay.LoseReplyTo(".complete(");

        Assert.False(await Store.CompleteAsync(lease, null, Cancellation));

        Assert.Equal(1, Relay.Lost);
        Assert.Equal(["/1", "/2"], await ReadPathsAsync(Store));
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_relay is not null)
        {
            await _relay.DisposeAsync();
        }
    }

    /// <summary>Three of four in a lane.</summary>
    private async Task<IReadOnlyList<LeasedEntry>> LeaseTogetherAsync()
    {
        for (var i = 0; i < 5; i++)
        {
            await Store.AddAsync(Entry($"/{i}"), Cancellation);
        }

        return (await GoOnAsync(Store, await LeaseOneAsync(Store), limit: 3)).Next;
    }

    private async Task<Lease> LeaseFirstOfTwoAsync()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2"), Cancellation);
        return (await LeaseOneAsync(Store)).Lease;
    }
}

using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Entries of a lane that are leased together: what becomes of the others when something happens to one of them.</summary>
public sealed class RunTests : ReplayFixture
{
    // In the middle of a run.
    private const int Middle = 12;

    private static readonly string[] _bodies = [.. Enumerable.Range(1, 30).Select(static i => $"{i}")];

    private FaultyStore? _store;

    [Theory]
    [InlineData(0, true)]
    [InlineData(50, false)]
    public async Task Several_are_leased_together_while_each_is_sent_in_a_moment(int milliseconds, bool together)
    {
        await using var app = Create();
        var leased = 0;
        await using var server = Answering(async _ =>
        {
            Clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
            leased = Math.Max(leased, (await app.EntriesAsync()).Count(static entry => entry.IsLeased));
            return 200;
        });
        await QueueWhileDownAsync(app, server, _bodies);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.InRange(leased, together ? 2 : 1, together ? 32 : 1);
        Assert.Equal(_bodies, server.Requests.Select(static request => request.Text));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_server_that_slows_down_is_sent_one_after_another()
    {
        await using var app = Create();
        var leased = 0;
        await using var server = Answering(async number =>
        {
            Clock.Advance(TimeSpan.FromMilliseconds(number < Middle ? 0 : 50));
            leased = number == Middle + 2 ? (await app.EntriesAsync()).Count(static entry => entry.IsLeased) : leased;
            return 200;
        });
        await QueueWhileDownAsync(app, server, _bodies);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(1, leased);
        await EmptyAsync(app);
    }

    [Fact]
    public async Task One_that_is_to_be_sent_again_holds_back_those_behind_it()
    {
        await using var app = Create();
        var fails = true;
        await using var server = Answering(number => number == Middle && fails ? 503 : 200);
        await QueueWhileDownAsync(app, server, _bodies);

        Assert.Equal(Middle - 1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
        await AssertGivenBackAsync(app, _bodies.Length - Middle + 1, attemptsOfFirst: 1);

        fails = false;
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        string[] expected = [.. _bodies[..Middle], .. _bodies[(Middle - 1)..]];
        Assert.Equal(expected, server.Requests.Select(static request => request.Text));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task One_that_is_rejected_leaves_those_behind_it_to_be_sent_in_their_order()
    {
        await using var app = await StartOnFaultyStoreAsync();
        await using var server = Answering(static number => number == Middle ? 400 : 200);
        var delivered = app.Queue.UntilAsync(EntryEventKind.Delivered, _bodies.Length - 1);
        await QueueWhileDownAsync(app, server, _bodies);

        await AdvanceUntilAsync(() => delivered.IsCompleted, "all others are delivered");

        Assert.Equal(_bodies, server.Requests.Select(static request => request.Text));
        Assert.Equal(DeadLetterCause.Rejected, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Fact]
    public async Task One_that_cannot_be_read_leaves_those_behind_it_to_be_sent_in_their_order()
    {
        await using var app = Create();
        await using var server = Answering(static _ => 200);
        await QueueWhileDownAsync(app, server, _bodies);
        using (var connection = new SqliteConnection($"Data Source={app.Path};Pooling=False"))
        {
            connection.Open();
            using var damage = connection.CreateCommand();
            damage.CommandText = $"UPDATE entry SET uri = 'damaged' WHERE id = {Middle}";
            Assert.Equal(1, damage.ExecuteNonQuery());
        }

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((_bodies.Length - 1, 1, 0), (summary.Delivered, summary.DeadLettered, summary.Remaining));
        Assert.Equal(_bodies.Where(static body => body != $"{Middle}"), server.Requests.Select(static request => request.Text));
        Assert.Equal(DeadLetterCause.Unreadable, Assert.Single(await app.DeadLettersAsync()).Cause);
    }

    [Fact]
    public async Task A_stop_lets_the_one_under_way_end_and_gives_the_others_back()
    {
        await using var app = await StartOnFaultyStoreAsync();
        Task? stopping = null;
        await using var server = Answering(number =>
        {
            stopping = number == Middle ? app.Sync.StopAsync() : stopping;
            return 200;
        });
        await QueueWhileDownAsync(app, server, _bodies);

        await AdvanceUntilAsync(() => stopping is not null, "half are sent");
        await stopping!;

        // The stop is seen a little later than it is asked for.
        var sent = server.Requests.Select(static request => request.Text).ToList();
        var left = await app.EntriesAsync();
        Assert.Equal(_bodies[..sent.Count], sent);
        Assert.Equal(_bodies.Length - sent.Count, left.Count);
        Assert.All(left, static entry => Assert.Equal((false, 0), (entry.IsLeased, entry.Attempts)));
    }

    [Fact]
    public async Task A_host_that_has_no_time_left_gets_all_given_back()
    {
        await using var app = await StartOnFaultyStoreAsync();
        Task? stopping = null;
        await using var server = Answering(async number =>
        {
            if (number == Middle)
            {
                stopping = app.Sync.StopAsync(new CancellationToken(canceled: true));
                await stopping;
            }

            return 200;
        });
        await QueueWhileDownAsync(app, server, _bodies);

        await AdvanceUntilAsync(() => stopping is not null, "half are sent");
        await stopping!;

        await AssertGivenBackAsync(app, _bodies.Length - Middle + 1, attemptsOfFirst: 1);
    }

    [Fact]
    public async Task What_is_leased_when_there_is_no_time_left_is_given_back_without_an_attempt()
    {
        await using var app = await StartOnFaultyStoreAsync();
        await using var server = Answering(static _ => 200);
        var stopping = Task.CompletedTask;
        var completions = 0;
        _store!.Before = operation =>
        {
            // The first ones lease the next one at one stroke.
            if (operation == FaultyStore.Complete && ++completions == 3)
            {
                stopping = app.Sync.StopAsync(new CancellationToken(canceled: true));
            }
        };
        await QueueWhileDownAsync(app, server, _bodies);

        await AdvanceUntilAsync(() => completions >= 3, "some are sent");
        await stopping;

        await AssertGivenBackAsync(app, _bodies.Length - server.Requests.Count, attemptsOfFirst: 0);
    }

    [Fact]
    public async Task Each_is_sent_once_while_the_store_cannot_write_down_what_was_delivered()
    {
        await using var app = await StartOnFaultyStoreAsync();
        await using var server = Answering(static _ => 200);
        var failures = 5;
        _store!.Before = operation =>
        {
            if (operation == FaultyStore.Complete && server.Requests.Count >= Middle && failures-- > 0)
            {
                throw new QueueStoreException(StoreFault.Full, "The disk is full.");
            }
        };
        var delivered = app.Queue.UntilAsync(EntryEventKind.Delivered, _bodies.Length);
        await QueueWhileDownAsync(app, server, _bodies);

        await AdvanceUntilAsync(() => delivered.IsCompleted, "all are written down");

        Assert.True(failures < 0);
        Assert.Contains(app.Logs.Lines, static line => line.EventId == 3012);
        Assert.Equal(_bodies, server.Requests.Select(static request => request.Text));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_lease_that_is_lost_ends_the_run_at_the_one_under_way()
    {
        await using var app = await StartOnFaultyStoreAsync(static sync => sync.AttemptTimeout = Timeout.InfiniteTimeSpan);
        var answer = new TaskCompletionSource();
        await using var server = Answering(async number =>
        {
            if (number == Middle)
            {
                _store!.LosesLeases = true;
                await answer.Task;
            }

            return 200;
        });
        var lost = app.Queue.UntilAsync(EntryEventKind.LeaseLost);
        await QueueWhileDownAsync(app, server, _bodies);

        await AdvanceUntilAsync(() => lost.IsCompleted, "the lost lease is noticed");

        Assert.Equal(Middle, server.Requests.Count);
        Assert.Equal(_bodies.Length - Middle + 1, (await app.Queue.CountAsync()).Pending);
        answer.SetResult();
    }

    [Fact]
    public async Task A_lease_that_is_found_lost_when_a_delivery_is_written_down_ends_the_run()
    {
        await using var app = CreateOnFaultyStore();
        await using var server = Answering(number =>
        {
            _store!.LosesLeases = number == Middle;
            return 200;
        });
        await QueueWhileDownAsync(app, server, _bodies);

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(Middle, server.Requests.Count);
        Assert.Single(app.Logs.Lines, static line => line.EventId == 2006);
        Assert.InRange((await app.Queue.CountAsync()).Pending, _bodies.Length - Middle + 1, _bodies.Length);
    }

    [Fact]
    public async Task A_defect_at_one_of_them_has_none_sent_again_that_was_delivered_before()
    {
        var isDefective = true;
        // The rules throw when they decide after a failed attempt, and once more when they decide after that exception.
        await using var app = Create(sync => sync.Randomizer = () =>
            isDefective && Environment.StackTrace.Contains(nameof(OutcomeRules), StringComparison.Ordinal)
                ? throw new InvalidOperationException("A defect.")
                : 1);
        await using var server = Answering(number => number == Middle ? 503 : 200);
        await QueueWhileDownAsync(app, server, _bodies);

        Assert.Equal(Middle - 1, (await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);

        Assert.Equal(_bodies.Length - Middle + 1, (await app.Queue.CountAsync()).Pending);
        Assert.Contains(app.Logs.Lines, static line => line.EventId == 3010);
        isDefective = false;
        Clock.Advance(TimeSpan.FromMinutes(1));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        string[] expected = [.. _bodies[..Middle], .. _bodies[(Middle - 1)..]];
        Assert.Equal(expected, server.Requests.Select(static request => request.Text));
        await EmptyAsync(app);
    }

    [Fact]
    public async Task A_settlement_that_could_not_be_written_is_tried_once_more_at_the_stop()
    {
        await using var app = await StartOnFaultyStoreAsync();
        await using var server = Answering(static number => number == Middle ? 503 : 200);
        var isFull = true;
        _store!.Before = operation =>
        {
            if (operation == FaultyStore.Reschedule && isFull)
            {
                throw new QueueStoreException(StoreFault.Full, "The disk is full.");
            }
        };
        await QueueWhileDownAsync(app, server, _bodies);
        await AdvanceUntilAsync(() => app.Logs.Lines.Any(static line => line.EventId == 3012), "the settlement could not be written");

        isFull = false;
        await app.Sync.StopAsync(new CancellationToken(canceled: true));

        await AssertGivenBackAsync(app, _bodies.Length - Middle + 1, attemptsOfFirst: 1);
        Assert.Equal("The server answered 503.", (await app.EntriesAsync())[0].LastError);
    }

    private static async Task AssertGivenBackAsync(TestApplication app, int count, int attemptsOfFirst)
    {
        var left = await app.EntriesAsync();
        Assert.Equal(count, left.Count);
        Assert.All(left, static entry => Assert.False(entry.IsLeased));
        Assert.Equal(attemptsOfFirst, left[0].Attempts);
        Assert.All(left.Skip(1), static entry => Assert.Equal(0, entry.Attempts));
    }

    private static RawServer Answering(Func<int, int> answer) => Answering(number => Task.FromResult(answer(number)));

    /// <summary>A server that answers each request with the status for its number.</summary>
    private static RawServer Answering(Func<int, Task<int>> answer)
    {
        var requests = 0;
        return new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await connection.RespondAsync(await answer(++requests), "", [], cancellationToken);
        });
    }

    private async Task<TestApplication> StartOnFaultyStoreAsync(Action<BackgroundSyncOptions>? configure = null)
    {
        var app = CreateOnFaultyStore(configure);
        await app.Sync.StartAsync();
        return app;
    }

    private TestApplication CreateOnFaultyStore(Action<BackgroundSyncOptions>? configure = null) => Create(
        configure, services: services => services.AddSingleton<IQueueStore>(_store = new FaultyStore(new MemoryQueueStore(Clock))));
}

using BgSync.Http.Replay;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Order inside a lane, lanes side by side, and what one failure means for the others.</summary>
public sealed class LaneTests : ReplayFixture
{
    [Fact]
    public async Task Being_offline_costs_no_attempt_and_one_probe_for_all_lanes()
    {
        await using var app = Create(LaneByPath);
        var dead = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/");
        for (var lane = 0; lane < 20; lane++)
        {
            await QueueAsync(app, new Uri(dead, $"/{lane}"), "body");
        }

        for (var i = 0; i < 5; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }

        Assert.Equal(5, app.Logs.Lines.Count(line => line.EventId == 2002));
        Assert.All(await app.EntriesAsync(), entry => Assert.Equal(0, entry.Attempts));
    }

    [Fact]
    public async Task The_first_entry_is_the_probe_and_the_rest_follow_when_it_is_answered()
    {
        var answer = new TaskCompletionSource();
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await answer.Task.WaitAsync(cancellationToken);
            await connection.RespondAsync(200, "", [], cancellationToken);
        });
        await using var app = Create(LaneByPath);
        await server.StopAsync();
        for (var lane = 0; lane < 5; lane++)
        {
            await QueueAsync(app, new Uri(server.Uri, $"/{lane}"), "body");
        }

        server.Start();
        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the probe is read");
        Assert.Single(await app.EntriesAsync(), entry => entry.IsLeased);
        answer.SetResult();

        Assert.Equal(5, (await replaying).Delivered);
    }

    [Fact]
    public async Task One_entry_of_a_lane_is_in_flight_at_a_time_in_order_and_lanes_run_side_by_side()
    {
        var inFlight = new Dictionary<string, int>();
        var (mostOfALane, mostOfAll) = (0, 0);
        var allTogether = new TaskCompletionSource();
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            var request = await connection.ReadRequestAsync(cancellationToken);
            lock (inFlight)
            {
                inFlight[request.Target] = inFlight.GetValueOrDefault(request.Target) + 1;
                mostOfALane = Math.Max(mostOfALane, inFlight[request.Target]);
                mostOfAll = Math.Max(mostOfAll, inFlight.Values.Sum());
                if (mostOfAll == 4)
                {
                    allTogether.TrySetResult();
                }
            }

            if (request.Text != "0")
            {
                await allTogether.Task.WaitAsync(cancellationToken);
            }

            lock (inFlight)
            {
                inFlight[request.Target]--;
            }

            await connection.RespondAsync(200, "", [], cancellationToken);
        });
        await using var app = Create(sync =>
        {
            LaneByPath(sync);
            sync.Replay.MaxConcurrentLanes = 4;
        });
        await server.StopAsync();
        for (var i = 0; i < 5; i++)
        {
            foreach (var lane in (string[])["a", "b", "c", "d", "e"])
            {
                await QueueAsync(app, new Uri(server.Uri, lane), $"{i}");
            }
        }

        server.Start();
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(25, summary.Delivered);
        Assert.Equal((1, 4), (mostOfALane, mostOfAll));
        Assert.All(
            server.Requests.GroupBy(request => request.Target),
            lane => Assert.Equal(["0", "1", "2", "3", "4"], lane.Select(request => request.Text)));
    }

    [Fact]
    public async Task A_replay_by_hand_is_not_over_because_an_attempt_ended_while_the_schedule_was_read()
    {
        var answer = new TaskCompletionSource();
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await answer.Task.WaitAsync(cancellationToken);
            await connection.RespondAsync(200, "", [], cancellationToken);
        });
        await using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory);
        await using var app = Create(services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(store)));
        await QueueWhileDownAsync(app, server, "1", "2", "3");
        var loop = app.Services.GetRequiredKeyedService<ReplayLoop>(TestApplication.QueueName);
        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the first attempt is under way");

        store.ScheduleRead = async () =>
        {
            // The row that was read says that the lane is leased; when it is looked at, nothing is under way any more.
            answer.TrySetResult();
            await Eventually.TrueAsync(() => loop.InFlight == 0, "the attempt is over");
        };
        loop.Wake();

        Assert.Equal(new ReplaySummary(Delivered: 3, DeadLettered: 0, Remaining: 0, Completed: true), await replaying);
    }

    [Fact]
    public async Task A_replay_by_hand_is_not_over_because_a_lane_was_released_while_the_schedule_was_read()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.NeverAnswer(), Scripts.Respond(200)));
        await using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory);
        await using var app = Create(services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(store)));
        await QueueWhileDownAsync(app, server, "1", "2");
        var lane = (await app.EntriesAsync())[0].Lane;
        var loop = app.Services.GetRequiredKeyedService<ReplayLoop>(TestApplication.QueueName);
        using var leave = new CancellationTokenSource();
        var live = loop.ReplayLaneAsync(lane, leave.Token);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the lane is being sent for a live request");

        store.ScheduleRead = async () =>
        {
            await leave.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => live);
        };

        Assert.Equal(
            new ReplaySummary(Delivered: 2, DeadLettered: 0, Remaining: 0, Completed: true),
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public async Task A_replay_by_hand_goes_on_by_itself_when_the_one_that_it_relied_on_ends()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory);
        await using var app = Create(services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(store)));
        await QueueWhileDownAsync(app, server, "1");
        var (reading, read) = (new TaskCompletionSource(), new TaskCompletionSource());
        store.ScheduleRead = () =>
        {
            reading.TrySetResult();
            return read.Task;
        };
        using var enough = new CancellationTokenSource();
        var first = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan, enough.Token);
        await reading.Task;

        var second = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await enough.CancelAsync();
        read.SetResult();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        var summary = await Eventually.DoneAsync(second, "the second goes on without the first");
        Assert.Equal((0, true), (summary.Remaining, summary.Completed));
    }

    [Fact]
    public async Task A_lane_that_fails_stops_itself_and_nobody_else()
    {
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            var request = await connection.ReadRequestAsync(cancellationToken);
            await connection.RespondAsync(request.Target == "/bad" ? 500 : 200, "", [], cancellationToken);
        });
        await using var app = Create(LaneByPath);
        await server.StopAsync();
        foreach (var path in (string[])["bad", "good", "bad", "good"])
        {
            await QueueAsync(app, new Uri(server.Uri, path), "body");
        }

        server.Start();
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((2, 2), (summary.Delivered, summary.Remaining));
        Assert.Single(server.Requests, request => request.Target == "/bad");
    }

    [Fact]
    public async Task A_dead_origin_stops_no_other_origin()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.LaneBy(request => request.RequestUri!.Authority));
        await QueueAsync(app, new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/"), "nobody");
        await QueueWhileDownAsync(app, server, "somebody");

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 1), (summary.Delivered, summary.Remaining));
    }

    [Fact]
    public async Task An_origin_with_many_lanes_does_not_keep_the_others_waiting()
    {
        var sentBefore = 0;
        await using var busy = new RawServer(Scripts.Respond(200));
        await using var quiet = new RawServer((connection, cancellationToken) =>
        {
            sentBefore = busy.Requests.Count;
            return Scripts.Respond(200)(connection, cancellationToken);
        });
        await using var app = Create(sync =>
        {
            sync.Replay.MaxConcurrentLanes = 1;
            sync.LaneBy(request => request.RequestUri!.AbsoluteUri);
        });
        await busy.StopAsync();
        await quiet.StopAsync();
        for (var lane = 0; lane < 20; lane++)
        {
            await QueueAsync(app, new Uri(busy.Uri, $"/{lane}"), "body");
        }

        await QueueAsync(app, quiet.Uri, "body");
        busy.Start();
        quiet.Start();
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Single(quiet.Requests);
        Assert.InRange(sentBefore, 0, 1);
    }

    [Fact]
    public async Task An_entry_says_when_it_is_tried_next_and_why_it_failed()
    {
        await using var app = Create(LaneByPath);
        var dead = new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/");
        await QueueAsync(app, new Uri(dead, "/1"), "first");
        await QueueAsync(app, new Uri(dead, "/1"), "second");

        var entries = await app.EntriesAsync();

        // The origin could not be reached: the backoff's first step.
        Assert.Equal([Clock.GetUtcNow().AddSeconds(1), null], entries.Select(entry => entry.DueAt));
        Assert.All(entries, entry => Assert.StartsWith("ConnectionError", entry.LastError, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_failing_head_blocks_its_lane_by_default()
    {
        await using var server = BadServer();
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "bad", "1", "2");

        await ReplayAsync(app, 10);

        Assert.Equal(10, server.Requests.Count);
        Assert.All(server.Requests, request => Assert.Equal("bad", request.Text));
    }

    [Fact]
    public async Task After_so_many_attempts_the_lane_goes_on_without_its_head()
    {
        var observer = new RecordingObserver();
        await using var server = BadServer();
        await using var app = Create(
            sync => sync.Retry.SkipAfterAttempts = 3, services: services => services.AddSingleton<IBackgroundSyncObserver>(observer));
        await QueueWhileDownAsync(app, server, "bad", "1", "2");

        await ReplayAsync(app, 2);
        Assert.Equal(["bad", "bad"], server.Requests.Select(request => request.Text));
        await ReplayAsync(app, 1);

        Assert.Equal(["bad", "bad", "bad", "1", "2"], server.Requests.Select(request => request.Text));
        var skipped = Assert.Single(await app.EntriesAsync());
        Assert.Equal(("#1", 3, 1), (skipped.Lane, skipped.Attempts, skipped.Id));
        Assert.Equal(Clock.GetUtcNow().AddSeconds(4), skipped.DueAt);
        Assert.Single(app.Logs.Lines, line => line.EventId == 2031);
        await Eventually.TrueAsync(() => observer.Events.Count(told => told.Kind == EntryEventKind.Delivered) == 2, "all is told");
        Assert.Equal(
            [false, false, true],
            observer.Events.Where(told => told.Kind == EntryEventKind.WillRetry)
                .Select(told => told.Reason!.EndsWith("Its lane goes on without it.", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_skipped_entry_is_tried_on_after_a_restart_and_dies_by_its_attempts()
    {
        using var directory = new TempDirectory();
        await using var server = BadServer();
        static void Skip(BackgroundSyncOptions sync) => (sync.Retry.SkipAfterAttempts, sync.Retry.MaxAttempts) = (2, 4);
        await using (var app = Create(Skip, directory))
        {
            await QueueWhileDownAsync(app, server, "bad", "1");
            await ReplayAsync(app, 2);
        }

        await using var restarted = Create(Skip, directory);
        await QueueWhileDownAsync(restarted, server, "2");
        await ReplayAsync(restarted, 3);

        Assert.Equal(["1", "2"], server.Requests.Select(request => request.Text).Where(text => text != "bad"));
        Assert.Equal(4, server.Requests.Count(request => request.Text == "bad"));
        var letter = Assert.Single(await restarted.DeadLettersAsync());
        Assert.Equal((DeadLetterCause.Exhausted, "#1"), (letter.Cause, letter.Entry!.Lane));
        Assert.Single(restarted.Logs.Lines, line => line.EventId == 2005);
        Assert.DoesNotContain(restarted.Logs.Lines, line => line.EventId == 2031);
    }

    [Fact]
    public async Task Being_offline_skips_nobody()
    {
        await using var app = Create(static sync => sync.Retry.SkipAfterAttempts = 1);
        await QueueAsync(app, new Uri($"http://127.0.0.1:{RawServer.RefusedPort()}/"), "body");

        await ReplayAsync(app, 3);

        Assert.Equal("", Assert.Single(await app.EntriesAsync()).Lane);
    }

    [Fact]
    public async Task A_skipped_entry_holds_back_no_live_request_of_its_lane()
    {
        await using var server = BadServer();
        await using var app = Create(static sync => (sync.Retry.SkipAfterAttempts, sync.Overtaking) = (2, Overtaking.Never));
        await QueueWhileDownAsync(app, server, "bad", "1");
        await QueueAsync(app, server.Uri, "2");

        // The attempt that is made in its place is the one after which the lane goes on.
        using var response = await app.Client.PostAsync(server.Uri, new StringContent("3"));

        Assert.Equal(["bad", "bad", "1", "2", "3"], server.Requests.Select(request => request.Text));
        Assert.Equal("#1", Assert.Single(await app.EntriesAsync()).Lane);
    }

    /// <summary>Takes all but what says that it is bad.</summary>
    private static RawServer BadServer() => new(async (connection, cancellationToken) =>
    {
        var request = await connection.ReadRequestAsync(cancellationToken);
        await connection.RespondAsync(request.Text == "bad" ? 500 : 200, "", [], cancellationToken);
    });

    private static async Task ReplayAsync(TestApplication app, int times)
    {
        for (var i = 0; i < times; i++)
        {
            await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        }
    }

    private static void LaneByPath(BackgroundSyncOptions sync) => sync.LaneBy(request => request.RequestUri!.AbsolutePath);
}

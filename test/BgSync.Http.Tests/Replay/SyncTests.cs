using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>A replay of the application's own in the place of the default one (facts/workbox.md, A8 and A46).</summary>
public sealed class SyncTests : ReplayFixture
{
    private readonly List<(ReplayReason Reason, int Attempt)> _calls = [];
    private readonly List<bool> _isLast = [];

    [Fact]
    public async Task It_replaces_the_default_replay_and_can_ask_for_it()
    {
        var replays = false;
        var summary = default(ReplaySummary);
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync => sync.OnSync = async (context, token) =>
        {
            Note(context);
            summary = replays ? await context.ReplayAsync(token) : default;
        });
        await QueueWhileDownAsync(app, server, "1", "2");
        await AdvanceUntilAsync(() => _calls.Count >= 1, "the hook is called");
        Assert.Empty(server.Requests);
        replays = true;

        await AdvanceUntilAsync(() => server.Requests.Count == 2, "both are sent");

        await EmptyAsync(app);
        await Eventually.TrueAsync(() => summary == new ReplaySummary(2, 0, 0, Completed: true), "the hook is told of both");
    }

    [Fact]
    public async Task When_it_throws_it_is_called_again_after_the_backoff_and_told_which_attempt_it_is_and_why()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync => sync.OnSync = async (context, token) =>
        {
            Note(context);
            if (context.Attempt < 4)
            {
                throw new InvalidOperationException("Not yet.");
            }

            await context.ReplayAsync(token);
        });
        await QueueWhileDownAsync(app, server, "1");

        await app.Sync.StartAsync();
        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request is sent");

        Assert.Equal([(ReplayReason.Start, 1), (ReplayReason.Due, 2), (ReplayReason.Due, 3), (ReplayReason.Due, 4)], _calls);
        await EmptyAsync(app);
        Assert.Equal(3, app.Logs.Lines.Count(line => line.EventId == 3030));
    }

    [Fact]
    public async Task One_that_leaves_entries_behind_is_not_called_in_a_hot_loop_but_by_the_next_trigger()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync =>
        {
            sync.Retry.MinBackoff = TimeSpan.FromMinutes(1);
            sync.OnSync = (context, _) =>
            {
                Note(context);
                return Task.CompletedTask;
            };
        });
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => _calls.Count == 1, "the hook is called");
        await Eventually.TrueAsync(() => Clock.NextTimerAt > Clock.GetUtcNow().AddSeconds(50), "the loop sleeps until the backoff is over");
        Assert.Single(_calls);

        app.Network.Raise(NetworkSignal.Available);

        await Eventually.TrueAsync(() => _calls.Count == 2, "the hook is called again");
        Assert.Equal((ReplayReason.Network, 1), _calls[1]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task After_the_last_call_that_failed_only_a_trigger_calls_it_again_and_it_counts_from_1(bool byMaxAttempts)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync =>
        {
            sync.Replay.Interval = TimeSpan.FromDays(1);
            sync.Retry.MinBackoff = sync.Retry.MaxBackoff = TimeSpan.FromMinutes(5);
            sync.Retry.MaxAttempts = byMaxAttempts ? 3 : sync.Retry.MaxAttempts;
            foreach (var delay in byMaxAttempts
                ? []
                : (TimeSpan[])[TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(5), Timeout.InfiniteTimeSpan])
            {
                sync.Retry.Delays.Add(delay);
            }

            sync.OnSync = (context, _) =>
            {
                Note(context);
                throw new InvalidOperationException("Not yet.");
            };
        });
        var made = Clock.GetUtcNow();
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server.Uri));
        await SyncFailedAsync(app, 1);
        await WakeAtAsync(made.AddMinutes(5));
        await SyncFailedAsync(app, 2);
        await WakeAtAsync(made.AddMinutes(10));
        await SyncFailedAsync(app, 3);
        Assert.Equal([(1, false), (2, false), (3, true)], _calls.Zip(_isLast, (call, isLast) => (call.Attempt, isLast)));
        await WakeAtAsync(made.AddMinutes(10).AddDays(1.1));
        await Eventually.TrueAsync(() => Clock.NextTimerAt > Clock.GetUtcNow(), "the loop has looked");
        Assert.Equal(3, _calls.Count);

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server.Uri));

        await SyncFailedAsync(app, 4);
        Assert.Equal((ReplayReason.Due, 1), _calls[3]);
        app.Network.Raise(NetworkSignal.Available);
        await SyncFailedAsync(app, 5);
        Assert.Equal((ReplayReason.Network, 2), _calls[4]);
        Assert.Equal([false, false], _isLast[3..]);
    }

    [Fact]
    public async Task What_is_added_while_it_runs_is_replayed_at_once_but_not_over_and_over()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync =>
        {
            sync.Replay.Interval = TimeSpan.FromDays(1);
            sync.Retry.MinBackoff = TimeSpan.FromMinutes(1);
            sync.OnSync = async (context, token) =>
            {
                Note(context);
                await context.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server.Uri), cancellationToken: token);
            };
        });

        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server.Uri));

        await Eventually.TrueAsync(() => _calls.Count == 2, "it is called for what it has added");
        await WakeAtAsync(Clock.GetUtcNow().AddMinutes(1));
        await Eventually.TrueAsync(() => _calls.Count == 3, "it is called after the backoff");
    }

    [Fact]
    public async Task It_never_runs_twice_at_once()
    {
        var end = new TaskCompletionSource();
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync => sync.OnSync = (context, _) =>
        {
            Note(context);
            return end.Task;
        });
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => _calls.Count == 1, "the hook is called");

        for (var i = 0; i < 20; i++)
        {
            var polls = Polls(app);
            app.Network.Raise(NetworkSignal.Available);
            await Eventually.TrueAsync(() => Polls(app) > polls, "the queue is polled");
            Clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Single(_calls);
        end.SetResult();
        await AdvanceUntilAsync(() => _calls.Count == 2, "the hook is called again");
    }

    [Fact]
    public async Task One_that_never_returns_is_left_behind_and_called_again()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync => sync.OnSync = (context, token) =>
        {
            Note(context);
            return context.Attempt == 1 ? new TaskCompletionSource().Task : context.ReplayAsync(token);
        });
        await QueueWhileDownAsync(app, server, "1");

        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request is sent");

        await EmptyAsync(app);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 3030 && line.Message.Contains("300 seconds", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_replay_by_hand_is_the_default_one_from_inside_the_hook_too()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync => sync.OnSync = async (context, token) =>
        {
            Note(context);
            await context.Queue.ReplayAsync(Timeout.InfiniteTimeSpan, token);
        });
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request is sent");
        await EmptyAsync(app);
        await app.Sync.StopAsync();
        _calls.Clear();
        await QueueWhileDownAsync(app, server, "2");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await EmptyAsync(app);
        Assert.Empty(_calls);
    }

    [Fact]
    public async Task A_stop_cancels_it()
    {
        var cancelled = false;
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = await StartAsync(sync => sync.OnSync = async (context, token) =>
        {
            Note(context);
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            }
            finally
            {
                cancelled = token.IsCancellationRequested;
            }
        });
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => _calls.Count == 1, "the hook is called");

        await app.Sync.StopAsync();

        await Eventually.TrueAsync(() => cancelled, "the hook has seen it");
        Assert.Equal(1, (await app.Queue.CountAsync()).Pending);
        Assert.DoesNotContain(app.Logs.Lines, line => line.EventId == 3030);
    }

    private void Note(SyncContext context)
    {
        _isLast.Add(context.IsLast);
        _calls.Add((context.Reason, context.Attempt));
    }
}

using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>Live requests and the entries that wait in their lane.</summary>
public sealed class OvertakingTests : ReplayFixture
{
    [Fact]
    public async Task By_default_a_live_request_is_sent_at_once()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "queued");

        await SendAsync(app, server, "live");

        Assert.Equal(["live"], Texts(server));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Those_that_wait_in_its_lane_go_first(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "1", "2");

        await SendAsync(app, server, "live", isAsync);

        Assert.Equal(["1", "2", "live"], Texts(server));
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task If_they_cannot_the_request_is_queued_behind_them_unsent(bool isAsync)
    {
        await using var server = new RawServer(Scripts.Respond(500));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "1", "2");
        var once = new StreamContent(new OneShotStream("live"u8.ToArray()));

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, once, isAsync));

        Assert.Contains("entry 1 could not be delivered", queued.InnerException!.Message, StringComparison.Ordinal);
        Assert.Equal(["1"], Texts(server));
        var entries = await app.EntriesAsync();
        Assert.Equal([1, 2, queued.EntryId], entries.Select(entry => entry.Id));
        Assert.Equal((0, null), (entries[2].Attempts, entries[2].DueAt));
        Assert.Equal("live"u8.ToArray(), await app.BodyOfAsync(queued.EntryId));
    }

    [Fact]
    public async Task A_dead_server_is_tried_once_with_what_waited_longest()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(Never);
        await server.StopAsync();

        foreach (var body in (string[])["1", "2", "3"])
        {
            await QueueAsync(app, server.Uri, body);
        }

        Assert.All(await app.EntriesAsync(), entry => Assert.Equal(0, entry.Attempts));
        server.Start();
        await SendAsync(app, server, "4");
        Assert.Equal(["1", "2", "3", "4"], Texts(server));
    }

    [Fact]
    public async Task What_waits_in_another_lane_may_be_overtaken()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(sync =>
        {
            Never(sync);
            sync.LaneBy(request => request.RequestUri!.AbsolutePath);
        });
        await QueueWhileDownAsync(app, server, "queued");

        await app.Client.PostAsync(new Uri(server.Uri, "/other"), new StringContent("live"));

        Assert.Equal(["live"], Texts(server));
    }

    [Fact]
    public async Task What_the_server_refuses_lets_the_next_one_pass()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(400), Scripts.Respond(200)));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "bad");

        await SendAsync(app, server, "live");

        Assert.Equal(["bad", "live"], Texts(server));
        Assert.Single(await app.DeadLettersAsync());
    }

    [Fact]
    public async Task A_wait_that_was_asked_for_is_not_cut_short()
    {
        await using var server = new RawServer(RawServer.Sequence(
            Scripts.Respond(503, ("Retry-After", "60")), Scripts.Respond(200)));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "1");
        await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "2"));

        await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "3"));
        Assert.Equal(["1"], Texts(server));

        Clock.Advance(TimeSpan.FromSeconds(60));
        await SendAsync(app, server, "4");
        Assert.Equal(["1", "1", "2", "3", "4"], Texts(server));
    }

    [Fact]
    public async Task A_paused_queue_holds_the_live_request_too()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "1");
        await app.Queue.PauseAsync("for the night");

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "2"));

        Assert.Contains("paused", queued.InnerException!.Message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task Status_401_of_the_one_before_holds_the_live_request_and_is_tried_again_by_the_next()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(401), Scripts.Respond(200)));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "1");
        await Assert.ThrowsAsync<RequestQueuedException>(() => SendAsync(app, server, "2"));

        await SendAsync(app, server, "3");

        Assert.Equal(["1", "1", "2", "3"], Texts(server));
        Assert.Null(await app.Queue.GetPauseAsync());
    }

    [Fact]
    public async Task An_old_one_that_fails_while_a_new_one_is_made_still_arrives_first()
    {
        var fail = new TaskCompletionSource();
        await using var server = new RawServer(RawServer.Sequence(
            async (connection, cancellationToken) =>
            {
                await connection.ReadRequestAsync(cancellationToken);
                await fail.Task.WaitAsync(cancellationToken);
                connection.Reset();
            },
            Scripts.Respond(200)));
        await using var app = Create(Never);

        var old = SendAsync(app, server, "old");
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the old one is read");
        var young = SendAsync(app, server, "new");
        Assert.False(young.IsCompleted);
        fail.SetResult();

        await Assert.ThrowsAsync<RequestQueuedException>(() => old);
        await young;
        Assert.Equal(["old", "old", "new"], Texts(server));
    }

    [Fact]
    public async Task Live_requests_of_a_lane_are_sent_one_after_another_and_lanes_side_by_side()
    {
        var (inFlight, most) = (0, 0);
        var both = new TaskCompletionSource();
        await using var server = new RawServer(async (connection, cancellationToken) =>
        {
            var request = await connection.ReadRequestAsync(cancellationToken);
            if (request.Target == "/other")
            {
                both.SetResult();
            }

            most = Math.Max(most, request.Target == "/" ? Interlocked.Increment(ref inFlight) : 0);
            await both.Task.WaitAsync(cancellationToken);
            Interlocked.Add(ref inFlight, request.Target == "/" ? -1 : 0);
            await connection.RespondAsync(200, "", [], cancellationToken);
        });
        await using var app = Create(sync =>
        {
            Never(sync);
            sync.LaneBy(request => request.RequestUri!.AbsolutePath);
        });

        var ofOneLane = Enumerable.Range(0, 5).Select(i => SendAsync(app, server, $"{i}")).ToArray();
        await app.Client.PostAsync(new Uri(server.Uri, "/other"), new StringContent(""));
        await Task.WhenAll(ofOneLane);

        Assert.Equal(1, most);
        Assert.Equal(["0", "1", "2", "3", "4"], server.Requests.Where(request => request.Target == "/").Select(request => request.Text));
    }

    [Fact]
    public async Task One_that_waits_too_long_is_queued_in_its_turn()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = Create(sync =>
        {
            Never(sync);
            sync.AttemptTimeout = TimeSpan.FromSeconds(10);
        });
        var first = SendAsync(app, server, "1");
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the first is read");
        var second = SendAsync(app, server, "2");

        Clock.Advance(TimeSpan.FromSeconds(10));

        Assert.IsType<TaskCanceledException>((await Assert.ThrowsAsync<RequestQueuedException>(() => first)).InnerException);
        var queued = await Assert.ThrowsAsync<RequestQueuedException>(() => second);
        Assert.Contains("its turn did not come within 00:00:10", queued.Message, StringComparison.Ordinal);
        Assert.Equal([1, 2], (await app.EntriesAsync()).Select(entry => entry.Id));
        Assert.Equal((2, 1), (queued.EntryId, server.Requests.Count));
    }

    [Fact]
    public async Task One_that_gives_up_waiting_is_not_queued_and_lets_the_next_one_pass()
    {
        var answer = new TaskCompletionSource();
        await using var server = new RawServer(Gated(answer.Task));
        await using var app = Create(Never);
        using var cancel = new CancellationTokenSource();
        var first = SendAsync(app, server, "1");
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the first is read");
        var second = app.Client.PostAsync(server.Uri, new StringContent("2"), cancel.Token);
        var third = SendAsync(app, server, "3");

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(third.IsCompleted);
        answer.SetResult();

        await Task.WhenAll(first, third);
        Assert.Equal(["1", "3"], Texts(server));
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task What_is_being_replayed_is_waited_for()
    {
        var answer = new TaskCompletionSource();
        await using var server = new RawServer(Gated(answer.Task));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "1", "2");
        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the first is read");

        var live = SendAsync(app, server, "live");
        answer.SetResult();
        await live;

        Assert.Equal(["1", "2", "live"], Texts(server));
        Assert.Equal(0, (await replaying).Remaining);
    }

    [Fact]
    public async Task A_replay_by_hand_waits_for_what_a_live_request_lets_go_first()
    {
        var answer = new TaskCompletionSource();
        await using var server = new RawServer(Gated(answer.Task));
        await using var app = Create(Never);
        await QueueWhileDownAsync(app, server, "1");
        var live = SendAsync(app, server, "live");
        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the queued one is read");

        var timers = Clock.PendingTimers;
        var replaying = app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await Task.WhenAny(replaying, Eventually.TrueAsync(() => Clock.PendingTimers > timers, "there is nothing to do but wait"));
        answer.SetResult();

        Assert.Equal(0, (await replaying).Remaining);
        await live;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_store_that_cannot_be_asked_lets_nothing_overtake(bool takesNothing)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var memory = new MemoryQueueStore(Clock);
        var store = new FaultyStore(memory);
        await using var app = Create(Never, services: services => services.Replace(ServiceDescriptor.Singleton<IQueueStore>(store)));
        store.Before = operation =>
        {
            if (operation == nameof(IQueueStore.HasEntriesAsync) || takesNothing)
            {
                throw new QueueStoreException(StoreFault.Locked, "The disk is asleep.");
            }
        };

        var failure = await Assert.ThrowsAnyAsync<HttpRequestException>(() => SendAsync(app, server, "live"));

        Assert.Equal(!takesNothing, failure is RequestQueuedException);
        Assert.Equal(takesNothing ? "The disk is asleep." : null, failure.GetNotQueuedReason());
        Assert.Empty(server.Requests);
    }

    private static void Never(BackgroundSyncOptions sync) => sync.Overtaking = Overtaking.Never;

    private static IEnumerable<string> Texts(RawServer server) => server.Requests.Select(request => request.Text);

    private static Script Gated(Task answer) => async (connection, cancellationToken) =>
    {
        await connection.ReadRequestAsync(cancellationToken);
        await answer.WaitAsync(cancellationToken);
        await connection.RespondAsync(200, "", [], cancellationToken);
    };

    private static Task SendAsync(TestApplication app, RawServer server, string body, bool isAsync = true) =>
        SendAsync(app, server, new StringContent(body), isAsync);

    private static async Task SendAsync(TestApplication app, RawServer server, HttpContent content, bool isAsync)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, server.Uri) { Content = content };
        using var response = await app.Client.SendAsync(request, isAsync);
        response.EnsureSuccessStatusCode();
    }
}

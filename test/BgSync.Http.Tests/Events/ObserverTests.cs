using System.Collections.Concurrent;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Events;

/// <summary>An observer is told everything, in order, and disturbs nobody.</summary>
public sealed class ObserverTests : ReplayFixture
{
    [Fact]
    public async Task Every_event_in_the_life_of_an_entry_is_told_in_order()
    {
        var observer = new RecordingObserver();
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(400), Scripts.Respond(200)));
        await using var app = Create(services: services => services.AddSingleton<IBackgroundSyncObserver>(observer));
        await QueueWhileDownAsync(app, server, "1");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        var id = Assert.Single(await app.DeadLettersAsync()).Id;
        await app.Queue.PauseAsync("Enough.");
        await app.Queue.RequeueAsync(id);
        await app.Queue.ResumeAsync();
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await observer.ToldAsync(EntryEventKind.Delivered);

        Assert.Equal(
            [
                EntryEventKind.Queued, EntryEventKind.Sending, EntryEventKind.WillRetry, EntryEventKind.Sending,
                EntryEventKind.DeadLettered, EntryEventKind.Paused, EntryEventKind.Requeued, EntryEventKind.Resumed, EntryEventKind.Sending,
                EntryEventKind.Delivered,
            ],
            observer.Events.Select(told => told.Kind));
        Assert.All(observer.Events, told => Assert.Equal((app.Queue.Name, Clock.GetUtcNow()), (told.Queue, told.At)));
        Assert.All(
            observer.Events.Where(told => told.Kind is not (EntryEventKind.Paused or EntryEventKind.Resumed)),
            told => Assert.Equal(id, told.EntryId));
        Assert.Equal(server.Uri, observer.The(EntryEventKind.Queued).Request?.Uri);
        var retry = observer.The(EntryEventKind.WillRetry);
        Assert.Equal((1, 503, Clock.GetUtcNow().AddSeconds(1)), (retry.Attempt, retry.StatusCode, retry.NextAttemptAt));
        Assert.Equal(DeadLetterCause.Rejected, observer.The(EntryEventKind.DeadLettered).DeadLetter?.Cause);
        Assert.Equal("Enough.", observer.The(EntryEventKind.Paused).Reason);
        Assert.Equal(200, observer.The(EntryEventKind.Delivered).StatusCode);
    }

    [Fact]
    public async Task What_is_not_queued_and_what_is_deleted_is_told_too()
    {
        var observer = new RecordingObserver();
        await using var server = new RawServer(Scripts.Respond(400));
        await using var app = Create(
            sync => sync.Limits.MaxBodyLength = 5, services: services => services.AddSingleton<IBackgroundSyncObserver>(observer));
        await Assert.ThrowsAsync<HttpRequestException>(
            () => app.Client.PostAsync($"http://127.0.0.1:{RawServer.RefusedPort()}/", new StringContent("too large")));
        await QueueWhileDownAsync(app, server, "1");
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        await app.Queue.DeleteDeadLetterAsync(Assert.Single(await app.DeadLettersAsync()).Id);

        await observer.ToldAsync(EntryEventKind.Deleted);

        var notQueued = observer.The(EntryEventKind.NotQueued);
        Assert.Null(notQueued.EntryId);
        Assert.Contains("MaxBodyLength", notQueued.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_done_by_hand_is_told()
    {
        var observer = new RecordingObserver();
        await using var app = Create(services: services => services.AddSingleton<IBackgroundSyncObserver>(observer));
        var ids = new List<long>();
        for (var i = 0; i < 4; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "http://127.0.0.1/");
            ids.Add(await app.Queue.PushAsync(request));
        }

        await app.Queue.EditAsync(ids[1], edit => edit.Lane = "other");
        using var taken = await app.Queue.ShiftAsync();
        await app.Queue.RemoveAsync(ids[1]);
        await app.Queue.ClearAsync();

        await observer.ToldAsync(EntryEventKind.Cleared);

        Assert.Equal(
            [
                (EntryEventKind.Edited, ids[1]),
                (EntryEventKind.Taken, ids[0]),
                (EntryEventKind.Removed, ids[1]),
                (EntryEventKind.Cleared, null),
            ],
            observer.Events.Skip(4).Select(told => (told.Kind, told.EntryId)));
    }

    [Fact]
    public async Task What_a_stop_gives_back_is_told()
    {
        var observer = new RecordingObserver();
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = await StartAsync(services: services => services.AddSingleton<IBackgroundSyncObserver>(observer));
        await QueueWhileDownAsync(app, server, "1");
        await AdvanceUntilAsync(() => server.Requests.Count == 1, "the request is read");

        await app.Sync.StopAsync(new CancellationToken(canceled: true));

        await observer.ToldAsync(EntryEventKind.Released);
    }

    [Fact]
    public async Task One_that_throws_or_hangs_or_blocks_disturbs_neither_the_sending_nor_the_others()
    {
        using var end = new ManualResetEventSlim();
        var observer = new RecordingObserver();
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(services: services => services
            .AddSingleton<IBackgroundSyncObserver>(new Observer(static _ => throw new InvalidOperationException("\u001b[2JNo.")))
            .AddSingleton<IBackgroundSyncObserver>(new Observer(static _ => new TaskCompletionSource().Task))
            .AddSingleton<IBackgroundSyncObserver>(new Observer(_ =>
            {
                end.Wait(CancellationToken.None);
                return Task.CompletedTask;
            }))
            .AddSingleton<IBackgroundSyncObserver>(observer));
        await QueueWhileDownAsync(app, server, "1", "2");

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await EmptyAsync(app);
        await Eventually.TrueAsync(() => observer.Events.Count == 6, "the last is told everything");
        await Eventually.TrueAsync(
            () => app.Logs.Lines.Count(line => line.EventId == 2020 && !line.Message.Any(char.IsControl)) >= 6, "the first is logged");
        end.Set();
    }

    [Fact]
    public async Task One_that_hangs_is_left_behind_and_told_the_next_event()
    {
        var told = new ConcurrentQueue<EntryEventKind>();
        await using var app = Create(services: services => services.AddSingleton<IBackgroundSyncObserver>(new Observer(happened =>
        {
            told.Enqueue(happened.Kind);
            return new TaskCompletionSource().Task;
        })));
        await app.Queue.PauseAsync("Enough.");
        await app.Queue.ResumeAsync();

        await AdvanceUntilAsync(() => told.Count == 2, "the second event is told");

        Assert.Equal([EntryEventKind.Paused, EntryEventKind.Resumed], told);
        Assert.Contains(app.Logs.Lines, line => line.EventId == 2020 && line.Message.Contains("30 seconds", StringComparison.Ordinal));
    }

    [Fact]
    public async Task One_that_is_slow_misses_the_oldest_and_that_is_counted()
    {
        var told = 0;
        var go = new TaskCompletionSource();
        await using var app = Create(services: services => services.AddSingleton<IBackgroundSyncObserver>(new Observer(_ =>
        {
            Interlocked.Increment(ref told);
            return go.Task;
        })));
        await app.Queue.ResumeAsync();
        await Eventually.TrueAsync(() => told == 1, "the first event is told");
        for (var i = 0; i < 1024 + 7; i++)
        {
            await app.Queue.ResumeAsync();
        }

        go.SetResult();

        await Eventually.TrueAsync(() => told == 1 + 1024, "the others are told");
        Assert.Equal(
            "Observer is slower than events happen and has missed 7 of them",
            Assert.Single(app.Logs.Lines, line => line.EventId == 2021).Message);
    }

    [Fact]
    public async Task One_may_want_the_queue_that_it_observes()
    {
        await using var app = Create(services: services => services.AddSingleton<IBackgroundSyncObserver, Counter>());

        await app.Queue.PauseAsync("Enough.");

        await Eventually.TrueAsync(() => Counter.Seen == (app.Queue.Name, 0), "the observer has asked its queue");
    }

    [Fact]
    public async Task One_that_cannot_be_made_disturbs_nobody()
    {
        await using var app = Create(services: services => services.AddSingleton<IBackgroundSyncObserver>(
            static _ => throw new InvalidOperationException("\u001b[2JNo.")));

        await app.Queue.PauseAsync("Enough.");

        Assert.Contains(app.Logs.Lines, line => line.EventId == 2022 && !line.Message.Any(char.IsControl));
    }

    private sealed class Observer(Func<EntryEvent, Task> observe) : IBackgroundSyncObserver
    {
        public Task OnEventAsync(EntryEvent entryEvent, CancellationToken cancellationToken) => observe(entryEvent);
    }

    private sealed class Counter([FromKeyedServices(TestApplication.QueueName)] IBackgroundSyncQueue queue) : IBackgroundSyncObserver
    {
        public static (string, long) Seen { get; private set; }

        public async Task OnEventAsync(EntryEvent entryEvent, CancellationToken cancellationToken) =>
            Seen = (queue.Name, (await queue.CountAsync(cancellationToken)).Pending);
    }
}

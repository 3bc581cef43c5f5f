using BgSync.Http.Tests.Replay;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Queue;

/// <summary>The live feed of a queue, for a screen.</summary>
public sealed class WatchTests : ReplayFixture
{
    [Fact]
    public async Task It_begins_with_how_the_queue_stands_and_goes_on_with_what_happens()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create();
        await QueueWhileDownAsync(app, server, "1");
        await using var watch = app.Queue.WatchAsync().GetAsyncEnumerator();
        await watch.MoveNextAsync();
        Assert.Equal((1, 0, 0), (watch.Current.Counts.Pending, watch.Current.Events.Count, watch.Current.Missed));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal([EntryEventKind.Sending, EntryEventKind.Delivered], await EventsUntilAsync(watch, EntryEventKind.Delivered));
        Assert.Equal(0, watch.Current.Counts.Pending);
    }

    [Fact]
    public async Task Many_watch_at_once()
    {
        await using var app = Create();
        await using var first = app.Queue.WatchAsync().GetAsyncEnumerator();
        await using var second = app.Queue.WatchAsync().GetAsyncEnumerator();
        await first.MoveNextAsync();
        await second.MoveNextAsync();

        await app.Queue.PauseAsync("Enough.");

        Assert.Equal([EntryEventKind.Paused], await EventsUntilAsync(first, EntryEventKind.Paused));
        Assert.Equal([EntryEventKind.Paused], await EventsUntilAsync(second, EntryEventKind.Paused));
    }

    [Fact]
    public async Task A_slow_reader_gets_the_latest_counts_and_the_latest_events()
    {
        await using var app = Create();
        await using var watch = app.Queue.WatchAsync().GetAsyncEnumerator();
        await watch.MoveNextAsync();
        for (var i = 0; i < 1024; i++)
        {
            await app.Queue.ResumeAsync();
        }

        await QueueAsync(app, new($"http://127.0.0.1:{RawServer.RefusedPort()}/"), "1");
        await watch.MoveNextAsync();

        Assert.Equal((1, 1024, 1), (watch.Current.Counts.Pending, watch.Current.Events.Count, watch.Current.Missed));
        Assert.Equal(EntryEventKind.Queued, watch.Current.Events[^1].Kind);
    }

    [Fact]
    public async Task A_cancel_ends_it()
    {
        await using var app = Create();
        using var cancel = new CancellationTokenSource();
        await using var watch = app.Queue.WatchAsync(cancel.Token).GetAsyncEnumerator(CancellationToken.None);
        await watch.MoveNextAsync();
        var next = watch.MoveNextAsync().AsTask();

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);
    }

    [Fact]
    public async Task The_end_of_the_container_ends_it()
    {
        var app = Create();
        await using var watch = app.Queue.WatchAsync().GetAsyncEnumerator();
        await watch.MoveNextAsync();
        var next = watch.MoveNextAsync().AsTask();

        await app.DisposeAsync();

        Assert.False(await next);
    }

    private static async Task<List<EntryEventKind>> EventsUntilAsync(IAsyncEnumerator<QueueUpdate> watch, EntryEventKind last)
    {
        List<EntryEventKind> kinds = [];
        while (!kinds.Contains(last))
        {
            Assert.True(await watch.MoveNextAsync());
            kinds.AddRange(watch.Current.Events.Select(happened => happened.Kind));
        }

        return kinds;
    }
}

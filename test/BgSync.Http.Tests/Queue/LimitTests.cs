using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Queue;

/// <summary>A queue that may not grow for ever, by the handler and by hand.</summary>
public sealed class LimitTests : ReplayFixture
{
    private static readonly Uri _dead = new($"http://127.0.0.1:{RawServer.RefusedPort()}/");

    [Fact]
    public async Task A_live_request_that_does_not_fit_gets_its_own_failure_and_the_reason()
    {
        await using var app = Create(sync => sync.Limits.MaxEntries = 1);
        await QueueAsync(app, _dead, "first");

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(_dead, new StringContent("second")));

        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
        Assert.Equal(
            "Queue 'test' is full (MaxEntries is 1). Raise MaxEntries, or have WhenFull drop entries that wait.",
            failure.GetNotQueuedReason());
        Assert.Equal(["first"], await BodiesAsync(app));
        Assert.Single(app.Logs.Lines, line => line.EventId == 2001 && line.Message.Contains("MaxEntries", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_pushed_request_that_does_not_fit_is_told_so()
    {
        await using var app = Create(sync => sync.Limits.MaxBytes = 5);
        await app.Queue.PushAsync(Post("12345"));

        foreach (var add in (Func<Task>[])[
            async () => await app.Queue.PushAsync(Post("6")), async () => await app.Queue.UnshiftAsync(Post("6"))])
        {
            Assert.Equal(StoreFault.QueueFull, (await Assert.ThrowsAsync<QueueStoreException>(add)).Fault);
        }

        Assert.Equal(["12345"], await BodiesAsync(app));
    }

    [Fact]
    public async Task What_makes_room_is_a_dead_letter_an_event_and_a_log_line()
    {
        var observer = new RecordingObserver();
        await using var app = Create(
            sync => (sync.Limits.MaxEntries, sync.Limits.WhenFull) = (1, WhenFull.DropOldest),
            services: services => services.AddSingleton<IBackgroundSyncObserver>(observer));
        await QueueAsync(app, _dead, "old");

        await QueueAsync(app, _dead, "new");

        Assert.Equal(["new"], await BodiesAsync(app));
        var letter = Assert.Single(await app.DeadLettersAsync());
        Assert.Equal((DeadLetterCause.DroppedForSpace, 1), (letter.Cause, letter.Id));
        await Eventually.TrueAsync(() => observer.Events.Count == 3, "the observer is told");
        Assert.Equal(
            [(EntryEventKind.Queued, 1L), (EntryEventKind.DeadLettered, 1L), (EntryEventKind.Queued, 2L)],
            observer.Events.Select(told => (told.Kind, told.EntryId!.Value)));
        Assert.Equal(DeadLetterCause.DroppedForSpace, observer.The(EntryEventKind.DeadLettered).DeadLetter!.Cause);
        Assert.Single(app.Logs.Lines, line => line.EventId == 2005 && line.Message.Contains("DroppedForSpace", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_first_to_expire_makes_room_by_option()
    {
        await using var app = Create(sync => (sync.Limits.MaxEntries, sync.Limits.WhenFull) = (2, WhenFull.DropFirstToExpire));
        await app.Queue.PushAsync(Post("long"));
        using var brief = Post("brief");
        brief.SetBackgroundSyncRetention(TimeSpan.FromMinutes(1));
        await app.Queue.PushAsync(brief);

        await app.Queue.PushAsync(Post("new"));

        Assert.Equal(["long", "new"], await BodiesAsync(app));
    }

    [Fact]
    public async Task A_refused_body_leaves_nothing_in_the_file()
    {
        await using var app = Create(sync => (sync.Limits.MaxEntries, sync.Capture.InlineBodyLength) = (1, 0));
        await app.Queue.PushAsync(Post("1"));

        await Assert.ThrowsAsync<QueueStoreException>(async () => await app.Queue.PushAsync(Post("2")));

        using var file = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={app.Path};Pooling=False");
        file.Open();
        using var count = file.CreateCommand();
        count.CommandText = "SELECT (SELECT count(*) FROM body) + (SELECT count(*) FROM body_chunk)";
        Assert.Equal(2L, count.ExecuteScalar());
    }

    [Fact]
    public async Task A_dead_letter_is_put_back_whatever_the_limit()
    {
        await using var app = Create(sync => (sync.Limits.MaxEntries, sync.Limits.WhenFull) = (1, WhenFull.DropOldest));
        await app.Queue.PushAsync(Post("1"));
        await app.Queue.PushAsync(Post("2"));

        Assert.Equal(1, await app.Queue.RequeueAllAsync());

        Assert.Equal(["2", "1"], await BodiesAsync(app));
    }

    private static HttpRequestMessage Post(string body) => new(HttpMethod.Post, _dead) { Content = new StringContent(body) };

    private static async Task<List<string>> BodiesAsync(TestApplication app)
    {
        var bodies = new List<string>();
        foreach (var entry in await app.EntriesAsync())
        {
            bodies.Add(System.Text.Encoding.UTF8.GetString(await app.BodyOfAsync(entry.Id)));
        }

        return bodies;
    }
}

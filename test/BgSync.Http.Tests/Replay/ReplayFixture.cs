using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>The base of the tests of the replay: a clock that stands still, and requests that are queued while a server is down.</summary>
public abstract class ReplayFixture
{
    protected TestClock Clock { get; } = new();

    protected TestApplication Create(
        Action<BackgroundSyncOptions>? configure = null,
        TempDirectory? directory = null,
        Action<IHttpClientBuilder>? client = null,
        Action<IHttpClientBuilder>? inner = null,
        Action<IServiceCollection>? services = null) =>
        new(configure, client, inner, services, clock: Clock, directory: directory);

    protected async Task<TestApplication> StartAsync(
        Action<BackgroundSyncOptions>? configure = null, Action<IServiceCollection>? services = null)
    {
        var app = Create(configure, services: services);
        await app.Sync.StartAsync();
        return app;
    }

    protected static Task QueueAsync(TestApplication app, Uri uri, string body) =>
        Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(uri, new StringContent(body)));

    /// <summary>Takes the server down, queues a request for each body, and brings it back.</summary>
    protected static async Task QueueWhileDownAsync(TestApplication app, RawServer server, params string[] bodies)
    {
        await server.StopAsync();
        foreach (var body in bodies)
        {
            await QueueAsync(app, server.Uri, body);
        }

        server.Start();
    }

    /// <summary>Waits until nothing is left, dead letters included.</summary>
    protected static async Task EmptyAsync(TestApplication app)
    {
        var counts = default(QueueCounts);
        await Eventually.TrueAsync(
            () => (counts = app.Queue.CountAsync().AsTask().GetAwaiter().GetResult()).Pending == 0, "the queue is empty");
        Assert.Equal(0, counts.DeadLettered);
    }

    /// <summary>Waits until the loop sleeps, and lets time pass to when it wakes.</summary>
    protected async Task WakeAtAsync(DateTimeOffset at)
    {
        await Eventually.TrueAsync(() => Clock.NextTimerAt == at, () => $"the loop sleeps until {at:u} and not {Clock.NextTimerAt:u}");
        Clock.Advance(at - Clock.GetUtcNow());
    }

    /// <summary>
    /// Waits until that many calls of OnSync have failed. Only then is a timer the loop's: a call under way has one of five minutes too.
    /// </summary>
    protected static Task SyncFailedAsync(TestApplication app, int calls) => Eventually.TrueAsync(
        () => app.Logs.Lines.Count(line => line.EventId is 3030 or 3031) == calls, $"{calls} calls of OnSync have failed");

    /// <summary>How often a trigger had the loop poll the queue. A poll that finds nothing is known by its log line alone.</summary>
    protected static int Polls(TestApplication app, string trigger = "") => app.Logs.Lines.Count(
        line => line.EventId == 3000 && line.Message.Contains(trigger, StringComparison.Ordinal));

    /// <summary>Lets time pass until something happens.</summary>
    protected Task AdvanceUntilAsync(Func<bool> condition, string what) => Eventually.TrueAsync(
        () =>
        {
            Clock.Advance(TimeSpan.FromSeconds(1));
            return condition();
        },
        what);
}

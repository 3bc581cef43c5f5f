using System.Text;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>
/// The common part of the ports of Workbox's own tests: two queues in one store, a clock that stands still, and
/// <see cref="BackgroundSyncOptions.UseWorkboxDefaults"/>.
/// </summary>
/// <remarks>
/// A test is called after the number that it has in facts/workbox.md, section B. Nothing but a trigger of the test's own or the waits
/// of Workbox make a queue send: the loop looks by itself once a day only.
/// </remarks>
public abstract class WorkboxFixture : ReplayFixture
{
    protected const string OtherName = "other";

    protected const string Api = "http://api.example.com";

    /// <summary>A time before which everything has expired.</summary>
    protected DateTimeOffset LongAgo => Clock.GetUtcNow().AddDays(-8);

    protected TestApplication Open(
        Action<BackgroundSyncOptions>? configure = null,
        Action<BackgroundSyncOptions>? other = null,
        TempDirectory? directory = null,
        Action<IHttpClientBuilder>? client = null,
        Action<IHttpClientBuilder>? inner = null,
        Action<IServiceCollection>? services = null) =>
        Create(
            sync => Configure(sync, configure),
            directory,
            client,
            inner,
            collection =>
            {
                collection.AddHttpClient(OtherName).AddBackgroundSync(OtherName, sync => Configure(sync, other));
                services?.Invoke(collection);
            });

    /// <summary>An application whose queues are replayed by themselves.</summary>
    protected async Task<TestApplication> OpenStartedAsync(
        Action<BackgroundSyncOptions>? configure = null,
        Action<BackgroundSyncOptions>? other = null,
        Action<IServiceCollection>? services = null)
    {
        var app = Open(configure, other, services: services);
        await app.Sync.StartAsync();
        return app;
    }

    protected static IBackgroundSyncQueue Other(TestApplication app) =>
        app.Services.GetRequiredKeyedService<IBackgroundSyncQueue>(OtherName);

    protected static HttpRequestMessage Post(string path, string body = "", string? note = null)
    {
        var uri = path.StartsWith('/') ? Api + path : path;
        var request = new HttpRequestMessage(HttpMethod.Post, uri) { Content = new StringContent(body) };
        if (note is not null)
        {
            request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["name"] = note });
        }

        return request;
    }

    /// <summary>Pushes a request to a queue for each path.</summary>
    protected static async Task PushAsync(IBackgroundSyncQueue queue, params string[] paths)
    {
        foreach (var path in paths)
        {
            await queue.PushAsync(Post(path, path));
        }
    }

    protected static async Task<List<string>> PathsAsync(IBackgroundSyncQueue queue) =>
        await queue.GetAllAsync().Select(entry => entry.Request.Uri.AbsolutePath).ToListAsync();

    protected static async Task<string> TextAsync(IBackgroundSyncQueue queue, long id)
    {
        await using var body = await queue.OpenBodyAsync(id);
        using var reader = new StreamReader(body!, Encoding.UTF8);
        return await reader.ReadToEndAsync();
    }

    /// <summary>Takes entries until none is left, and says which.</summary>
    protected static async Task<List<string>> TakeAllAsync(Func<ValueTask<TakenEntry?>> take)
    {
        List<string> paths = [];
        while (await take() is { } taken)
        {
            using (taken)
            {
                paths.Add(taken.Request.RequestUri!.AbsolutePath);
            }
        }

        return paths;
    }

    protected static async Task<(long Live, long Dead)> CountAsync(IBackgroundSyncQueue queue) =>
        await queue.CountAsync() is var counts ? (counts.Pending, counts.DeadLettered) : default;

    /// <summary>Waits until the loop sleeps for as long as only a trigger wakes it.</summary>
    protected Task IdleAsync() => Eventually.TrueAsync(
        () => Clock.NextTimerAt > Clock.GetUtcNow().AddHours(23), () => $"the loops sleep, and not until {Clock.NextTimerAt:u}");

    private static void Configure(BackgroundSyncOptions sync, Action<BackgroundSyncOptions>? configure)
    {
        sync.UseWorkboxDefaults();
        sync.Replay.Interval = TimeSpan.FromDays(1);
        sync.Replay.TriggerJitter = TimeSpan.Zero;
        sync.Randomizer = static () => 1;
        configure?.Invoke(sync);
    }
}

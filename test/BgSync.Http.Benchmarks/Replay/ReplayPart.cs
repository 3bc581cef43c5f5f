using System.Diagnostics;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.Replay;

/// <summary>How fast a queue is sent to a local server, against a bare loop that posts the same bodies.</summary>
internal sealed class ReplayPart : IBenchmarkPart
{
    private static readonly Goal _goal = Goal.AtLeast(0.85, "0.85 ×");

    private readonly byte[] _body = new byte[1024];

    public string Name => "replay";

    public string Title => "Replay, SQLite";

    public async Task RunAsync(Bench bench)
    {
        Array.Fill(_body, (byte)'x');
        await using (var server = await LocalServer.StartAsync())
        {
            foreach (var lanes in (int[])[1, 8, 64])
            {
                await MeasureAsync(bench, server, lanes, bench.Effort.Of(10_000, 200), "", _goal);
            }
        }

        await using var remote = await LocalServer.StartAsync(takes: TimeSpan.FromMilliseconds(5));
        foreach (var lanes in (int[])[1, 8, 64])
        {
            await MeasureAsync(bench, remote, lanes, bench.Effort.Of(200 * lanes, 4 * lanes), " by a server that takes 5 ms", goal: null);
        }
    }

    private async Task MeasureAsync(Bench bench, LocalServer server, int lanes, int entries, string where, Goal? goal)
    {
        using var bare = new HttpClient();
        await using var application = new Application(new SqliteSubject(), bench.Folder.New("replay"), server.Address, sync =>
        {
            sync.LaneBy(static request => request.RequestUri!.AbsolutePath);
            sync.Replay.MaxConcurrentLanes = lanes;
        });
        var series = await Series.AlternateAsync(
            bench.Effort.Repeats,
            () => ReplayAsync(application, server, entries, lanes),
            async () => (await Load.RunAsync(lanes, entries, number => PostAsync(bare, UriOf(server, number, lanes)))).PerSecond);
        var share = series[0].RatioTo(series[1]);
        bench.Section.Add(new(
            $"replay of {Figures.Number(entries)} entries in {Figures.Count(lanes, "lane")}{where}, against a bare loop",
            share,
            $"{Figures.PerSecond(series[0].Median)} against {Figures.PerSecond(series[1].Median)}",
            share,
            goal));
    }

    private async Task<double> ReplayAsync(Application application, LocalServer server, int entries, int lanes)
    {
        await Load.RunAsync(256, entries, async number =>
        {
            using var content = new ByteArrayContent(_body);
            await application.PushAsync(UriOf(server, number, lanes), content);
        });
        var before = server.Requests;
        var started = Stopwatch.GetTimestamp();
        var summary = await application.Queue.ReplayAsync(TimeSpan.FromMinutes(10));
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (summary.Delivered != entries || server.Requests - before != entries)
        {
            throw new InvalidOperationException($"{entries} were queued, {server.Requests - before} came: {summary}.");
        }

        return entries / seconds;
    }

    private async ValueTask PostAsync(HttpClient client, Uri uri)
    {
        using var content = new ByteArrayContent(_body);
        using var response = await client.PostAsync(uri, content);
        response.EnsureSuccessStatusCode();
    }

    private static Uri UriOf(LocalServer server, int number, int lanes) => new(server.Address, $"/lanes/{number % lanes}");
}

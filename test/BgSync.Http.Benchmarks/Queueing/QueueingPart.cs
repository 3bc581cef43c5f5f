using BgSync.Http.Benchmarks.Children;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.Queueing;

/// <summary>The cost of queueing a request of 1 KiB in the default store, durably.</summary>
internal sealed class QueueingPart : IBenchmarkPart
{
    private const int BodyLength = 1024;

    private static readonly int[] _callers = [1, 8, 64, 512];
    private static readonly Uri _uri = new("https://api.example.com/orders");

    // The bytes written of a request beside its body.
    private static readonly byte[] _head = "POST https://api.example.com/orders\nContent-Type: text/plain; charset=utf-8\n"u8.ToArray();

    private readonly byte[] _body = new byte[BodyLength];

    public string Name => "queueing";

    public string Title => "Queueing, SQLite";

    public async Task RunAsync(Bench bench)
    {
        Array.Fill(_body, (byte)'x');
        var store = new SqliteSubject();
        await using var application = new Application(store, bench.Folder.New("queueing"), _uri);
        using var file = new FlushedFile(bench.Folder.New("plain"));
        await MeasureAgainstFileAsync(bench, application, file);
        await MeasureCallersAsync(bench, application);
        await MeasureRefusedAsync(bench, store);
        await MeasureFlushesAsync(bench, store);
    }

    private async Task MeasureAgainstFileAsync(Bench bench, Application application, FlushedFile file)
    {
        var entries = bench.Effort.Of(1000, 20);
        byte[] same = [.. _head, .. _body];
        var series = await Series.AlternateAsync(
            bench.Effort.Repeats + 1,
            async () => (await Load.RunAsync(1, entries, _ => PushAsync(application))).Milliseconds(0.5),
            async () => (await Load.RunAsync(1, entries, _ => file.AppendAsync(same))).Milliseconds(0.5));
        var ratio = series[0].RatioTo(series[1]);
        bench.Section.Add(new(
            "one caller queueing 1 KiB, against append and flush to a file (p50)",
            ratio,
            $"{Figures.Milliseconds(series[0].Median)} against {Figures.Milliseconds(series[1].Median)}",
            ratio,
            Goal.AtMost(1.25, "1.25 ×")));
    }

    private async Task MeasureCallersAsync(Bench bench, Application application)
    {
        var loads = _callers.ToDictionary(static callers => callers, static _ => new List<Load>());
        var rates = await Series.AlternateAsync(bench.Effort.Repeats, [.. _callers.Select(callers => (Func<Task<double>>)(async () =>
        {
            var load = await Load.RunAsync(
                callers, bench.Effort.Of(callers == 1 ? 1000 : 4000, Math.Max(20, callers)), _ => PushAsync(application));
            loads[callers].Add(load);
            return load.PerSecond;
        }))]);
        for (var i = 0; i < _callers.Length; i++)
        {
            var callers = _callers[i];
            bench.Section.Add(new(
                callers == 1 ? "one caller" : $"{callers} callers at once, against one",
                rates[i].RatioTo(rates[0]),
                Figures.PerSecond(rates[i].Median),
                callers == 1 ? null : rates[i].RatioTo(rates[0]),
                callers == 64 ? Goal.AtLeast(8, "8 ×") : null));
            var times = new[] { 0.5, 0.99, 1 }.Select(share =>
            {
                var series = new Series();
                loads[callers].ForEach(load => series.Add(load.Milliseconds(share)));
                return Figures.Number(series.Median);
            });
            bench.Section.Note($"{Figures.Count(callers, "caller")}: p50 / p99 / longest {string.Join(" / ", times)} ms");
        }
    }

    /// <summary>The whole way: a live request that is refused, and its caller told that it is queued.</summary>
    private async Task MeasureRefusedAsync(Bench bench, StoreSubject store)
    {
        using var port = new RefusingPort();
        await using var queued = new Application(
            store, bench.Folder.New("refused"), port.Uri, static sync => sync.WhenQueued = WhenQueued.ReturnAccepted);
        using var bare = new HttpClient { BaseAddress = port.Uri };
        var requests = bench.Effort.Of(500, 20);
        var series = await Series.AlternateAsync(
            bench.Effort.Repeats,
            async () => (await Load.RunAsync(1, requests, _ => PostAsync(queued.Client))).Milliseconds(0.5),
            async () => (await Load.RunAsync(1, requests, _ => PostAsync(bare))).Milliseconds(0.5));
        bench.Section.Add(new(
            "a POST that is refused and queued, against one that is refused (p50)",
            series[0].RatioTo(series[1]),
            $"{Figures.Milliseconds(series[0].Median)} against {Figures.Milliseconds(series[1].Median)}",
            series[0].RatioTo(series[1])));
    }

    private static async Task MeasureFlushesAsync(Bench bench, StoreSubject store)
    {
        foreach (var callers in (int[])[1, 64])
        {
            if (await FlushCount.MeasureAsync(store, bench.Folder, callers, bench.Effort.Of(4000, 200)) is { } flushes)
            {
                bench.Section.Add(new(
                    $"flushes an entry, {Figures.Count(callers, "caller")}",
                    flushes,
                    Figures.Number(flushes),
                    null,
                    callers == 64 ? Goal.AtMost(0.05, "0.05") : null));
            }
            else
            {
                bench.Section.Note("Flushes were not counted: strace is not here.");
            }
        }
    }

    private async ValueTask PushAsync(Application application)
    {
        using var content = new ByteArrayContent(_body);
        await application.PushAsync(_uri, content);
    }

    private async ValueTask PostAsync(HttpClient client)
    {
        using var content = new ByteArrayContent(_body);
        try
        {
            using var response = await client.PostAsync(new Uri("/orders", UriKind.Relative), content);
        }
        catch (HttpRequestException)
        {
            // The bare client is told so, and nothing is kept.
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.Scale;

/// <summary>Whether any cost grows with the queue: short and long queues side by side, in few lanes and in many.</summary>
internal sealed class ScalePart : IBenchmarkPart
{
    private static readonly Goal _flat = Goal.AtMost(1.2, "1.2 ×");
    private static readonly Goal _count = Goal.AtMost(1, "1 ms");
    private static readonly Goal _opening = Goal.AtMost(50, "+50 ms");

    private readonly byte[] _body = new byte[100];

    public string Name => "scale";

    public string Title => "Scale, SQLite";

    public async Task RunAsync(Bench bench)
    {
        int[] lengths = bench.Effort.IsQuick ? [100, 1000] : [1000, 100_000, 1_000_000];
        foreach (var lanes in (int[])[1, 1000, lengths[^1]])
        {
            var queues = new List<LongQueue>();
            foreach (var length in lengths)
            {
                queues.Add(await LongQueue.FillAsync(bench.Folder.New("scale"), length, Math.Min(lanes, length), _body));
            }

            await MeasureAsync(bench, queues, lanes);
            foreach (var queue in queues)
            {
                await queue.Session.DisposeAsync();
            }

            foreach (var queue in queues)
            {
                Directory.Delete(queue.Folder, recursive: true);
            }
        }
    }

    private async Task MeasureAsync(Bench bench, List<LongQueue> queues, int lanes)
    {
        var calls = bench.Effort.Of(300, 5);
        var settling = await CompareAsync(bench, queues, async queue =>
        {
            var time = await EachAsync(calls, async () => await queue.Session.SettleAsync(1));
            // The queue keeps its length.
            await EachAsync(calls, () => queue.Session.AddAsync(queue.NextLane(), _body));
            return time;
        });
        var adding = await CompareAsync(bench, queues, queue => EachAsync(calls, () => queue.Session.AddAsync(queue.NextLane(), _body)));
        var counting = await CompareAsync(bench, queues, queue => EachAsync(calls, async () => await queue.Session.CountAsync()));
        var opening = await CompareAsync(bench, queues, static queue => queue.ReopenAsync());
        for (var i = 1; i < queues.Count; i++)
        {
            var what = string.Create(CultureInfo.InvariantCulture, $"with {queues[i].Length:#,0} entries in {Figures.Count(queues[i].Lanes, "lane")}");
            var against = string.Create(CultureInfo.InvariantCulture, $"{what}, against {queues[0].Length:#,0} entries");
            bench.Section.Add(Flat("lease and complete", against, settling[i], settling[0]));
            bench.Section.Add(Flat("append", against, adding[i], adding[0]));
            bench.Section.Add(new(
                $"count {what}",
                counting[i].Median,
                Figures.Milliseconds(counting[i].Median),
                counting[i].RatioTo(counting[0]),
                _count,
                "count a long queue"));
            var longer = opening[i].ExcessOver(opening[0]);
            bench.Section.Add(new(
                $"open {against}",
                longer,
                Figures.Excess(longer, "ms"),
                opening[i].RatioTo(opening[0]),
                _opening,
                "open a long queue, against a short one"));
        }

        var last = queues[^1];
        var full = await last.Session.SizeAsync();
        var emptying = Stopwatch.GetTimestamp();
        await last.Session.ClearAsync();
        var seconds = Stopwatch.GetElapsedTime(emptying).TotalSeconds;
        var atOnce = await last.Session.SizeAsync();
        var given = await SettledSize.OfAsync(last.Session, bench.Effort);
        bench.Section.Note(string.Create(
            CultureInfo.InvariantCulture,
            $"{last.Length:#,0} entries in {Figures.Count(last.Lanes, "lane")}: {Figures.Bytes(full)} on disk; cleared in {seconds:0.0} s: "
            + $"{Figures.Bytes(atOnce)} at once, {Figures.Bytes(given)} when the store has given the space back by itself."));
    }

    private static Finding Flat(string what, string against, Series series, Series baseline) => new(
        $"{what} {against}",
        series.RatioTo(baseline),
        $"{Figures.Milliseconds(series.Median)} against {Figures.Milliseconds(baseline.Median)}",
        series.RatioTo(baseline),
        _flat,
        $"{what}, long queue against short");

    private static Task<Series[]> CompareAsync(Bench bench, List<LongQueue> queues, Func<LongQueue, Task<double>> measure) =>
        Series.AlternateAsync(bench.Effort.Repeats, [.. queues.Select(queue => (Func<Task<double>>)(() => measure(queue)))]);

    /// <summary>The median of the times of calls one after another, in milliseconds.</summary>
    private static async Task<double> EachAsync(int calls, Func<ValueTask> call) =>
        (await Load.RunAsync(1, calls, _ => call())).Milliseconds(0.5);
}

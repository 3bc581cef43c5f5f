using System.Diagnostics;
using System.Globalization;
using BgSync.Http.Benchmarks.Children;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.Stores;

/// <summary>The stores side by side.</summary>
internal sealed class StoresPart : IBenchmarkPart
{
    private const int BodyLength = 1024;

    private readonly byte[] _body = new byte[BodyLength];

    public string Name => "stores";

    public string Title => "Stores, side by side";

    public async Task RunAsync(Bench bench)
    {
        Array.Fill(_body, (byte)'x');
        var comparison = bench.Section.Compare(bench.Subjects.Select(static subject => subject.Name));
        await MeasureAddsAsync(bench, comparison);
        await MeasureSettlingAsync(bench, comparison);
        await MeasureFlushesAsync(bench, comparison);
        await MeasureLongQueueAsync(bench, comparison);
        await MeasureLargeBodyAsync(bench, comparison);
    }

    private async Task MeasureAddsAsync(Bench bench, Comparison comparison)
    {
        var sessions = await OpenAllAsync(bench, "adds");
        foreach (var callers in (int[])[1, 8, 64, 512])
        {
            var entries = bench.Effort.Of(callers == 1 ? 500 : 2000, 64);
            var loads = await EachAsync(bench.Effort.Repeats, sessions, async session =>
                await Load.RunAsync(callers, entries, _ => session.AddAsync("", _body)));
            var rates = loads.Select(static of => Median(of, static load => load.PerSecond)).ToList();
            comparison.Add($"queue 1 KiB, {Callers(callers)}", rates.Select(Figures.PerSecond));
            Draw(bench, comparison, $"queue, {Callers(callers)}", rates);
            if (callers is 1 or 64)
            {
                comparison.Add(
                    $"… p50 / p99 / longest, {Callers(callers)}",
                    loads.Select(static of => string.Join(" / ", new[] { 0.5, 0.99, 1 }.Select(share =>
                        Figures.Number(Median(of, load => load.Milliseconds(share))))) + " ms"));
            }
        }

        await CloseAllAsync(sessions);
    }

    private async Task MeasureSettlingAsync(Bench bench, Comparison comparison)
    {
        const int Together = 32;
        await MeasureAsync("one lane", 1, bench.Effort.Of(500, 5), static session => session.SettleAsync(1));
        await MeasureAsync($"one lane, {Together} at a time", 1, bench.Effort.Of(2000, 50), static session => session.SettleLaneAsync(Together));
        await MeasureAsync("64 lanes", 64, bench.Effort.Of(20, 5) * 64, static session => session.SettleAsync(64));

        Task MeasureAsync(string how, int lanes, int entries, Func<IQueueSession, ValueTask<int>> settle) =>
            MeasureSettlingAsync(bench, comparison, $"lease and complete, {how}", lanes, entries, settle);
    }

    private async Task MeasureSettlingAsync(
        Bench bench, Comparison comparison, string what, int lanes, int entries, Func<IQueueSession, ValueTask<int>> settle)
    {
        var sessions = await OpenAllAsync(bench, "settling");
        var rates = await EachAsync(bench.Effort.Repeats, sessions, async session =>
        {
            await FillAsync(session, entries, lanes);
            var started = Stopwatch.GetTimestamp();
            for (var settled = 0; settled < entries;)
            {
                settled += await settle(session);
            }

            return entries / Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
        var medians = rates.Select(static of => Median(of, static rate => rate)).ToList();
        comparison.Add(what, medians.Select(Figures.PerSecond));
        Draw(bench, comparison, what, medians);
        await CloseAllAsync(sessions);
    }

    private static void Draw(Bench bench, Comparison comparison, string what, IEnumerable<double> rates) =>
        comparison.Draw(what, bench.Subjects.Zip(rates, static (subject, rate) => subject.IsDurable ? rate : double.NaN));

    private static async Task MeasureFlushesAsync(Bench bench, Comparison comparison)
    {
        foreach (var callers in (int[])[1, 64])
        {
            var cells = new List<string>();
            foreach (var subject in bench.Subjects)
            {
                var flushes = await FlushCount.MeasureAsync(subject, bench.Folder, callers, bench.Effort.Of(4000, 200));
                cells.Add(flushes is { } count ? Figures.Number(count) : "?");
            }

            comparison.Add($"flushes an entry, {Callers(callers)}", cells);
        }
    }

    private async Task MeasureLongQueueAsync(Bench bench, Comparison comparison)
    {
        var entries = bench.Effort.Of(100_000, 500);
        List<double> sizes = [], openings = [], counts = [], emptied = [];
        foreach (var subject in bench.Subjects)
        {
            var folder = bench.Folder.New("long");
            await using (var session = await subject.OpenAsync(folder))
            {
                await session.AddAsync("", _body);
                var empty = await session.SizeAsync();
                await FillAsync(session, entries, lanes: 1);
                sizes.Add((double)(await session.SizeAsync() - empty) / entries);
            }

            var reopened = await subject.OpenAsync(folder);
            await using (reopened)
            {
                openings.Add(await MillisecondsAsync(() => reopened.AddAsync("", _body)));
                var series = await Series.AlternateAsync(
                    bench.Effort.Of(100, 3), () => MillisecondsAsync(async () => await reopened.CountAsync()));
                counts.Add(series[0].Median);
                await reopened.ClearAsync();
                emptied.Add(await SettledSize.OfAsync(reopened, bench.Effort));
            }
        }

        var length = entries.ToString("#,0", CultureInfo.InvariantCulture);
        comparison.Add("bytes on disk for an entry of 1 KiB", sizes.Select(Figures.Bytes));
        comparison.Add($"open with {length} entries, and queue one", openings.Select(Figures.Milliseconds));
        comparison.Add($"count {length} entries", counts.Select(Figures.Milliseconds));
        comparison.Add($"on disk after {length} entries have left", emptied.Select(Figures.Bytes));
    }

    private static async Task MeasureLargeBodyAsync(Bench bench, Comparison comparison)
    {
        var length = bench.Effort.Of(100, 2) * 1024L * 1024;
        List<double> written = [], read = [];
        var sessions = await OpenAllAsync(bench, "bodies");
        foreach (var session in sessions)
        {
            written.Add(length / 1000 / await MillisecondsAsync(() => session.AddLargeAsync(length)));
            read.Add(length / 1000 / await MillisecondsAsync(async () =>
                ArgumentOutOfRangeException.ThrowIfNotEqual(await session.ReadLargeAsync(), length)));
        }

        await CloseAllAsync(sessions);
        comparison.Add($"queue a body of {Figures.Bytes(length)}", written.Select(static rate => $"{Figures.Number(rate)} MB/s"));
        comparison.Add($"read a body of {Figures.Bytes(length)}", read.Select(static rate => $"{Figures.Number(rate)} MB/s"));
    }

    private async Task FillAsync(IQueueSession session, int entries, int lanes) =>
        await Load.RunAsync(256, entries, number => session.AddAsync(lanes == 1 ? "" : $"lane{number % lanes}", _body));

    private static async Task<IReadOnlyList<IQueueSession>> OpenAllAsync(Bench bench, string name)
    {
        var sessions = new List<IQueueSession>();
        foreach (var subject in bench.Subjects)
        {
            var session = await subject.OpenAsync(bench.Folder.New(name));
            // Opens what is opened at the first call.
            await session.CountAsync();
            sessions.Add(session);
        }

        return sessions;
    }

    private static async Task CloseAllAsync(IEnumerable<IQueueSession> sessions)
    {
        foreach (var session in sessions)
        {
            await session.DisposeAsync();
        }
    }

    /// <summary>Measures all of them in turn, again and again.</summary>
    private static async Task<List<T>[]> EachAsync<T>(
        int repeats, IReadOnlyList<IQueueSession> sessions, Func<IQueueSession, Task<T>> measure)
    {
        var results = sessions.Select(static _ => new List<T>()).ToArray();
        for (var repeat = 0; repeat < repeats; repeat++)
        {
            for (var i = 0; i < sessions.Count; i++)
            {
                results[i].Add(await measure(sessions[i]));
            }
        }

        return results;
    }

    private static async Task<double> MillisecondsAsync(Func<ValueTask> act)
    {
        var started = Stopwatch.GetTimestamp();
        await act();
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    private static double Median<T>(IEnumerable<T> values, Func<T, double> select)
    {
        var series = new Series();
        foreach (var value in values)
        {
            series.Add(select(value));
        }

        return series.Median;
    }

    private static string Callers(int callers) => callers == 1 ? "one caller" : $"{callers} callers";
}

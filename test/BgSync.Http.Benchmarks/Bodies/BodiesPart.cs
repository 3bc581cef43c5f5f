using System.Diagnostics;
using System.Globalization;
using BgSync.Http.Benchmarks.Children;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Replay;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.Bodies;

/// <summary>Bodies that are larger than memory should have to be, and many that are large.</summary>
internal sealed class BodiesPart : IBenchmarkPart
{
    private const int BufferLength = 1 << 20;
    private const double MiB = 1 << 20;

    public string Name => "bodies";

    public string Title => "Bodies, SQLite";

    public async Task RunAsync(Bench bench)
    {
        if (!OperatingSystem.IsLinux())
        {
            bench.Section.Note("Bodies were not measured: memory and writes are read from /proc.");
            return;
        }

        await using var server = await LocalServer.StartAsync();
        await MeasureLargeAsync(bench, server);
        await MeasureImagesAsync(bench, server);
    }

    private static async Task MeasureLargeAsync(Bench bench, LocalServer server)
    {
        var file = CreateFile(bench, bench.Effort.Of(1024, 8) * (long)MiB);
        var length = new FileInfo(file).Length;
        var results = new List<BodyResult>();
        var times = await Series.AlternateAsync(
            bench.Effort.Of(3, 1),
            async () =>
            {
                var result = await RunAsync(bench, server, file, copies: 1);
                results.Add(result);
                return result.QueueSeconds + result.ReplaySeconds;
            },
            () => CopyTwiceAsync(bench, file));
        var memory = new Series();
        results.ForEach(result => memory.Add(result.PeakBytes - result.IdleBytes));
        var what = Figures.Bytes(length);
        bench.Section.Add(new(
            $"queueing and replaying a body of {what}: memory above idle",
            memory.Median / MiB,
            Figures.Bytes(memory.Median),
            null,
            Goal.AtMost(48, "48 MiB")));
        bench.Section.Add(new(
            $"queueing and replaying a body of {what}, against copying the file twice with flush",
            times[0].Median,
            $"{Figures.Number(times[0].Median)} s against {Figures.Number(times[1].Median)} s",
            times[0].RatioTo(times[1])));
        bench.Section.Add(Written(what, results[0].WrittenBytes, length));
        File.Delete(file);
    }

    private static async Task MeasureImagesAsync(Bench bench, LocalServer server)
    {
        var images = bench.Effort.Of(10_000, 20);
        var file = CreateFile(bench, 300 * 1024);
        var result = await RunAsync(bench, server, file, images);
        var length = (double)images * new FileInfo(file).Length;
        bench.Section.Add(Written(
            string.Create(CultureInfo.InvariantCulture, $"{images:#,0} images of 300 KiB"), result.WrittenBytes, length));
        bench.Section.Note(string.Create(
            CultureInfo.InvariantCulture,
            $"{images:#,0} images of 300 KiB: queued at {Figures.Number(length / MiB / result.QueueSeconds)} MiB/s, "
            + $"replayed at {Figures.Number(length / MiB / result.ReplaySeconds)} MiB/s, "
            + $"memory above idle {Figures.Bytes(result.PeakBytes - result.IdleBytes)}."));
        File.Delete(file);
    }

    private static Finding Written(string what, long written, double length) =>
        new($"bytes written to the disk for each byte queued and sent, {what}", written / length, Figures.Number(written / length), null);

    private static async Task<BodyResult> RunAsync(Bench bench, LocalServer server, string file, int copies)
    {
        var folder = bench.Folder.New("bodies");
        await using var child = ChildProcess.Start(
            BodyChild.Name, folder, server.Address.AbsoluteUri, file, copies.ToString(CultureInfo.InvariantCulture));
        var result = BodyResult.Parse(await child.ReadAsync());
        await child.EndAsync();
        Directory.Delete(folder, recursive: true);
        return result;
    }

    /// <returns>How long it took, in seconds.</returns>
    private static async Task<double> CopyTwiceAsync(Bench bench, string file)
    {
        var folder = bench.Folder.New("copies");
        var started = Stopwatch.GetTimestamp();
        foreach (var name in (string[])["first", "second"])
        {
            await using var source = File.OpenRead(file);
            await using var copy = File.Create(Path.Combine(folder, name));
            await source.CopyToAsync(copy, BufferLength);
            copy.Flush(flushToDisk: true);
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        Directory.Delete(folder, recursive: true);
        return seconds;
    }

    private static string CreateFile(Bench bench, long length)
    {
        var path = Path.Combine(bench.Folder.New("source"), "body");
        var bytes = new byte[BufferLength];
        using var file = File.Create(path);
        for (long left = length; left > 0; left -= bytes.Length)
        {
            Random.Shared.NextBytes(bytes);
            file.Write(bytes, 0, (int)Math.Min(left, bytes.Length));
        }

        return path;
    }
}

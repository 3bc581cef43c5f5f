using System.Globalization;
using BgSync.Http.Benchmarks.Children;
using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.Idle;

/// <summary>The cost of an empty queue for an application that does nothing, against the same application without one.</summary>
internal sealed class IdlePart : IBenchmarkPart
{
    public string Name => "idle";

    public string Title => "Idle, SQLite";

    public async Task RunAsync(Bench bench)
    {
        if (!OperatingSystem.IsLinux())
        {
            bench.Section.Note("Idleness was not measured: it is read from /proc.");
            return;
        }

        await using var queue = await StartAsync(bench, hasQueue: true);
        await using var bare = await StartAsync(bench, hasQueue: false);
        // The first seconds of a process are not idle.
        await Task.Delay(TimeSpan.FromSeconds(bench.Effort.Of(30, 3)));
        var time = TimeSpan.FromSeconds(bench.Effort.Of(300, 2));
        var (queueBefore, bareBefore) = (ProcessReading.Of(queue.Id), ProcessReading.Of(bare.Id));
        await Task.Delay(time);
        var (queueAfter, bareAfter) = (ProcessReading.Of(queue.Id), ProcessReading.Of(bare.Id));

        var (wakeUps, bareWakeUps) = (queueAfter.WakeUpsSince(queueBefore), bareAfter.WakeUpsSince(bareBefore));
        bench.Section.Add(new(
            "idle with an empty queue, against without: wake-ups a minute",
            wakeUps / time.TotalMinutes,
            $"{Figures.Number(wakeUps / time.TotalMinutes)} against {Figures.Number(bareWakeUps / time.TotalMinutes)}",
            bareWakeUps > 0 ? (double)wakeUps / bareWakeUps : null));
        var (processor, bareProcessor) = (queueAfter.ProcessorSince(queueBefore), bareAfter.ProcessorSince(bareBefore));
        bench.Section.Add(new(
            "idle with an empty queue, against without: processor time a minute",
            processor.TotalMilliseconds / time.TotalMinutes,
            $"{Figures.Milliseconds(processor.TotalMilliseconds / time.TotalMinutes)} against "
            + Figures.Milliseconds(bareProcessor.TotalMilliseconds / time.TotalMinutes),
            bareProcessor > TimeSpan.Zero ? processor / bareProcessor : null));
        var written = queueAfter.WrittenSince(queueBefore);
        bench.Section.Add(new(
            string.Create(CultureInfo.InvariantCulture, $"idle with an empty queue: bytes written in {time.TotalSeconds} s"),
            written,
            Figures.Bytes(written),
            null,
            Goal.AtMost(0, "0 B")));
        await queue.EndAsync();
        await bare.EndAsync();
    }

    private static async Task<ChildProcess> StartAsync(Bench bench, bool hasQueue)
    {
        var child = ChildProcess.Start(IdleChild.Name, bench.Folder.New("idle"), hasQueue ? "true" : "false");
        await child.ReadAsync();
        return child;
    }
}

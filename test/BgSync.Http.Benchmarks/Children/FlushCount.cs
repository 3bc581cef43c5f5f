using System.Globalization;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;

namespace BgSync.Http.Benchmarks.Children;

/// <summary>How many times the disk is flushed for an entry that is queued.</summary>
internal static class FlushCount
{
    /// <summary>Whether a process can be watched here.</summary>
    public static bool IsPossible { get; } = OperatingSystem.IsLinux() && IsInPath("strace");

    /// <summary>Counts by watching a process: the difference between few entries and many, so that opening counts for nothing.</summary>
    public static async Task<double?> MeasureAsync(QueueSubject subject, WorkFolder folder, int callers, int entries)
    {
        if (await subject.CountFlushesAsync() is { } before)
        {
            await using (var session = await subject.OpenAsync(folder.New("flushes")))
            {
                var body = new byte[1024];
                await Load.RunAsync(callers, entries, _ => session.AddAsync("", body));
            }

            return (double)(await subject.CountFlushesAsync() - before)! / entries;
        }

        if (!IsPossible || !subject.FlushesItself)
        {
            return null;
        }

        var few = await CountAsync(subject, folder, callers, entries);
        var many = await CountAsync(subject, folder, callers, 2 * entries);
        return (double)(many - few) / entries;
    }

    private static async Task<long> CountAsync(QueueSubject subject, WorkFolder folder, int callers, int entries)
    {
        var files = folder.New("flushes");
        var trace = Path.Combine(files, "trace");
        await ChildProcess.RunTracedAsync(
            $"-f -c -e trace=fsync,fdatasync -o {trace}",
            ["add", subject.Name, files, callers.ToString(CultureInfo.InvariantCulture), entries.ToString(CultureInfo.InvariantCulture)]);

        // "% time  seconds  usecs/call  calls  [errors]  syscall"
        return File.ReadLines(trace)
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(static columns => columns is [.., "fsync" or "fdatasync"])
            .Sum(static columns => long.Parse(columns[3], CultureInfo.InvariantCulture));
    }

    private static bool IsInPath(string command) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, command)));
}

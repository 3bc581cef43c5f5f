using System.Diagnostics;
using System.Globalization;

namespace BgSync.Http.Benchmarks.Children;

/// <summary>The kernel's counters of a process (Linux).</summary>
internal sealed class ProcessReading
{
    private readonly Dictionary<string, long> _slicesByThread;
    private readonly TimeSpan _processor;
    private readonly long _written;

    private ProcessReading(int id)
    {
        var folder = $"/proc/{id}";
        _slicesByThread = Directory.EnumerateDirectories(Path.Combine(folder, "task")).ToDictionary(static task => task, SlicesOf);
        using (var process = Process.GetProcessById(id))
        {
            _processor = process.TotalProcessorTime;
        }

        _written = Number(Path.Combine(folder, "io"), "write_bytes:");
    }

    public static ProcessReading Of(int id) => new(id);

    /// <summary>How often one of its threads was given a processor since. A thread that has ended meanwhile is not seen.</summary>
    public long WakeUpsSince(ProcessReading before) => _slicesByThread.Sum(thread =>
        thread.Value - before._slicesByThread.GetValueOrDefault(thread.Key));

    public TimeSpan ProcessorSince(ProcessReading before) => _processor - before._processor;

    /// <summary>The bytes that it has written to disks since, or will have when the system does so.</summary>
    public long WrittenSince(ProcessReading before) => _written - before._written;

    /// <summary>The bytes that a process has written to disks so far.</summary>
    public static long WrittenToDisk => Number("/proc/self/io", "write_bytes:");

    /// <summary>The memory that this process has now, in bytes.</summary>
    public static long OwnMemory => Number("/proc/self/status", "VmRSS:") * 1024;

    /// <summary>The most memory that this process had since the peak was forgotten, in bytes.</summary>
    public static long OwnPeak => Number("/proc/self/status", "VmHWM:") * 1024;

    public static void ForgetOwnPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    // "nanoseconds on a processor, nanoseconds waiting for one, slices"
    private static long SlicesOf(string task) =>
        long.Parse(File.ReadAllText(Path.Combine(task, "schedstat")).Split(' ')[2], CultureInfo.InvariantCulture);

    private static long Number(string file, string name) => File.ReadLines(file)
        .Where(line => line.StartsWith(name, StringComparison.Ordinal))
        .Select(static line => long.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture))
        .Single();
}

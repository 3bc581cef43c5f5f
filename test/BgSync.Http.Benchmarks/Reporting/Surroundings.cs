using System.Globalization;
using System.Runtime.InteropServices;
using BgSync.Http.Benchmarks.Measuring;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>On what the figures were taken.</summary>
internal static class Surroundings
{
    public static string Describe(string workFolder, Effort effort)
    {
        var disk = DriveInfo.GetDrives()
            .Where(drive => workFolder.StartsWith(drive.Name, StringComparison.OrdinalIgnoreCase))
            .MaxBy(static drive => drive.Name.Length);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Environment.ProcessorCount} × {Processor()}, {RuntimeInformation.OSDescription}, "
            + $"{RuntimeInformation.FrameworkDescription}, files on {disk?.DriveFormat ?? "an unknown file system"}"
            + $"{(effort.IsQuick ? ". Only shows that everything runs: the figures mean nothing" : "")}.");
    }

    private static string Processor() => File.Exists("/proc/cpuinfo")
        && File.ReadLines("/proc/cpuinfo")
            .FirstOrDefault(static line => line.StartsWith("model name", StringComparison.Ordinal)) is { } line
            ? line[(line.IndexOf(':') + 1)..].Trim()
            : RuntimeInformation.ProcessArchitecture.ToString();
}

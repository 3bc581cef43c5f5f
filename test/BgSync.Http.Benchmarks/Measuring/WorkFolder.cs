namespace BgSync.Http.Benchmarks.Measuring;

/// <summary>Where a benchmark keeps its files: in the folder for temporary files, which TMPDIR moves to another disk.</summary>
internal sealed class WorkFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("bgsync-bench-").FullName;

    /// <summary>Makes a new folder inside.</summary>
    public string New(string name) =>
        Directory.CreateDirectory(System.IO.Path.Combine(Path, $"{name}-{Guid.NewGuid():N}")).FullName;

    /// <summary>How long the files in a folder are, all of them together.</summary>
    public static long SizeOf(string folder) =>
        new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(static file => file.Length);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

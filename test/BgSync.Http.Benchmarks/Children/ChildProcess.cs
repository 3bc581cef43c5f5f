using System.Diagnostics;
using System.Reflection;

namespace BgSync.Http.Benchmarks.Children;

/// <summary>This program once more, as a process to be watched.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;

    private ChildProcess(ProcessStartInfo start)
    {
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        _process = Process.Start(start)!;
    }

    public int Id => _process.Id;

    public static ChildProcess Start(params IEnumerable<string> arguments) => new(new ProcessStartInfo(Host, [.. Itself, .. arguments]));

    /// <summary>Runs it to its end under <c>strace</c>.</summary>
    public static async Task RunTracedAsync(string straceOptions, IEnumerable<string> arguments)
    {
        await using var child = new ChildProcess(
            new ProcessStartInfo("strace", [.. straceOptions.Split(' '), Host, .. Itself, .. arguments]));
        await child.EndAsync();
    }

    /// <summary>The next line that it says.</summary>
    public async Task<string> ReadAsync() => await _process.StandardOutput.ReadLineAsync()
        ?? throw new InvalidOperationException($"The process {_process.StartInfo.ArgumentList[^1]} has ended too early.");

    public async Task TellAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Ends its standard input, and waits until it has ended.</summary>
    public async Task EndAsync()
    {
        _process.StandardInput.Close();
        await _process.StandardOutput.ReadToEndAsync();
        await _process.WaitForExitAsync();
        if (_process.ExitCode != 0)
        {
            throw new InvalidOperationException($"The process ended with exit code {_process.ExitCode}.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private static string Host => Environment.ProcessPath!;

    // "dotnet x.dll": the executable is the runtime's.
    private static IEnumerable<string> Itself =>
    [
        .. Path.GetFileNameWithoutExtension(Host).Equals("dotnet", StringComparison.OrdinalIgnoreCase)
            ? (IEnumerable<string>)[Path.Combine(AppContext.BaseDirectory, Assembly.GetEntryAssembly()!.GetName().Name + ".dll")]
            : [],
        ChildCommand.Name,
    ];
}

using System.Diagnostics;
using System.Reflection;

namespace BgSync.Http.Benchmarks.Children;

/// <summary>This program once more, as a process to be watched.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    // Far more than any of them takes: one that hangs must not hang the benchmarks.
    private static readonly TimeSpan _patience = TimeSpan.FromMinutes(15);

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
    public async Task<string> ReadAsync() => await InTimeAsync(_process.StandardOutput.ReadLineAsync())
        ?? throw new InvalidOperationException($"'{Command}' has ended too early.");

    /// <summary>Ends its standard input, and waits until it has ended.</summary>
    public async Task EndAsync()
    {
        _process.StandardInput.Close();
        await InTimeAsync(_process.StandardOutput.ReadToEndAsync());
        await InTimeAsync(_process.WaitForExitAsync());
        if (_process.ExitCode != 0)
        {
            throw new InvalidOperationException($"'{Command}' ended with exit code {_process.ExitCode}.");
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

    private string Command => string.Join(' ', _process.StartInfo.ArgumentList.Prepend(_process.StartInfo.FileName));

    // The caller that waited disposes it, which ends it.
    private async Task<T> InTimeAsync<T>(Task<T> task)
    {
        await InTimeAsync((Task)task);
        return await task;
    }

    private async Task InTimeAsync(Task task)
    {
        try
        {
            await task.WaitAsync(_patience);
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"'{Command}' has neither said anything nor ended for {_patience.TotalMinutes} minutes.", exception);
        }
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

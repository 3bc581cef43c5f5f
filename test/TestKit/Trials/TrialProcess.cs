using System.Collections.Concurrent;
using System.Diagnostics;

namespace TestKit.Trials;

/// <summary>A process under trial: its lines are kept as they come, and it is killed at the end in any case.</summary>
internal sealed class TrialProcess : IAsyncDisposable
{
    private static readonly TimeSpan _startDeadline = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly ConcurrentQueue<string> _errors = new();

    private TrialProcess(ProcessStartInfo start)
    {
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Keep(_lines, line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(_errors, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>The lines that it has written to standard output.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    /// <summary>The lines that it has written to standard error.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    public int ExitCode => _process.ExitCode;

    /// <summary>Starts an assembly that is built beside the tests.</summary>
    public static TrialProcess Start(string assembly, params IEnumerable<string> arguments) =>
        new(new ProcessStartInfo(DotnetHost, [Path.Combine(AppContext.BaseDirectory, assembly), .. arguments]));

    /// <summary>Starts an application of items and waits until it is ready.</summary>
    public static Task<TrialProcess> StartAppAsync(string assembly, params IEnumerable<string> arguments) =>
        ReadyAsync(Start(assembly, arguments));

    /// <summary>The same with the test application in a network namespace.</summary>
    public static Task<TrialProcess> StartAppInAsync(string networkNamespace, params IEnumerable<string> arguments) =>
        ReadyAsync(new TrialProcess(new ProcessStartInfo(
            "ip",
            ["netns", "exec", networkNamespace, DotnetHost, Path.Combine(AppContext.BaseDirectory, AppAssembly), .. arguments])));

    /// <summary>The rest of each line that begins with <paramref name="word"/>.</summary>
    public IReadOnlyList<string> Said(string word) =>
        [.. _lines.Where(line => line.StartsWith(word + " ", StringComparison.Ordinal)).Select(line => line[(word.Length + 1)..])];

    /// <summary>The items that it has told its callers are queued, in this order.</summary>
    public IReadOnlyList<QueuedItem> Queued => [.. Said("QUEUED").Select(QueuedItem.Parse)];

    /// <summary>Writes a line to its standard input.</summary>
    public void Tell(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
    }

    /// <summary>Waits until <paramref name="condition"/> holds for what it has written.</summary>
    public Task WaitAsync(Func<bool> condition, TimeSpan deadline, string what) => Eventually.TrueAsync(
        () => condition() || (_process.HasExited ? throw new InvalidOperationException($"It ended before {what}. {this}") : false),
        deadline,
        () => $"{what}. {this}");

    /// <summary>Waits until it writes a line.</summary>
    public Task WaitForLineAsync(string line, TimeSpan deadline) => WaitAsync(() => _lines.Contains(line), deadline, $"'{line}'");

    /// <summary>Waits until it counts so many live entries.</summary>
    public Task WaitForLiveAsync(Func<int> expected, TimeSpan deadline) => WaitAsync(
        () =>
        {
            Tell("count");
            return Said("LIVE") is [.., var last] && last.StartsWith($"{expected()} ", StringComparison.Ordinal);
        },
        deadline,
        $"the right count, {expected()}");

    /// <summary>Waits until it has ended by itself.</summary>
    public async Task WaitForExitAsync(TimeSpan deadline)
    {
        await Eventually.TrueAsync(() => _process.HasExited, deadline, () => $"its end. {this}");
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGKILL; returns when it is dead and all that it wrote is in <see cref="Lines"/>.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGSTOP; returns when it stands still.</summary>
    public Task FreezeAsync() => SignalAsync("STOP", static state => state == 'T');

    /// <summary>SIGCONT; returns when it goes on.</summary>
    public Task WakeAsync() => SignalAsync("CONT", static state => state != 'T');

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    /// <summary>Its last lines, for a message.</summary>
    public override string ToString() => $"""
        Process {_process.Id} {string.Join(' ', _process.StartInfo.ArgumentList)}
        standard output ends with:
        {string.Join(Environment.NewLine, _lines.TakeLast(20))}
        standard error ends with:
        {string.Join(Environment.NewLine, _errors.TakeLast(40))}
        """;

    private const string AppAssembly = "BgSync.Http.TestApp.dll";

    private static string DotnetHost => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    private static async Task<TrialProcess> ReadyAsync(TrialProcess process)
    {
        try
        {
            await process.WaitForLineAsync("READY", _startDeadline);
            return process;
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    private async Task SignalAsync(string signal, Func<char, bool> isIn)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        await kill.WaitForExitAsync();
        await Eventually.TrueAsync(() => isIn(State()), $"SIG{signal} reaches {_process.Id}");

        // The name stands in parentheses, and may have some itself.
        char State() => File.ReadAllText($"/proc/{_process.Id}/stat") is var stat ? stat[stat.LastIndexOf(')') + 2] : default;
    }

    private static void Keep(ConcurrentQueue<string> lines, string? line)
    {
        if (line is not null)
        {
            lines.Enqueue(line);
        }
    }
}

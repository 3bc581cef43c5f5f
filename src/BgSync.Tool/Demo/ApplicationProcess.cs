using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace BgSync.Tool.Demo;

/// <summary>The demo's hand on its application: this executable once more, spoken to by lines of JSON.</summary>
internal sealed class ApplicationProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _errors = new();

    private ApplicationProcess(Process process)
    {
        _process = process;
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors)
            {
                _errors.AppendLine(line.Data);
            }
        };
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    /// <summary>Starts the application and waits until it listens.</summary>
    public static async Task<ApplicationProcess> StartAsync(Uri server, string store, CancellationToken cancellationToken)
    {
        var application = new ApplicationProcess(Process.Start(StartInfo(server, store))!);
        try
        {
            await application.ReadAsync<ApplicationReport.Started>(cancellationToken);
            return application;
        }
        catch
        {
            await application.DisposeAsync();
            throw;
        }
    }

    /// <summary>Tells the application to do something and waits for its report.</summary>
    public async Task<TReport> AskAsync<TReport>(ApplicationCommand command, CancellationToken cancellationToken)
        where TReport : ApplicationReport
    {
        var line = JsonSerializer.Serialize(command, DemoJson.Default.ApplicationCommand);
        await _process.StandardInput.WriteLineAsync(line.AsMemory(), cancellationToken);
        await _process.StandardInput.FlushAsync(cancellationToken);
        return await ReadAsync<TReport>(cancellationToken);
    }

    /// <summary>Ends the application as a crash does (SIGKILL): nothing in it gets to run any more.</summary>
    public async Task KillAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        _process.Dispose();
    }

    private static ProcessStartInfo StartInfo(Uri server, string store)
    {
        var executable = Environment.ProcessPath!;
        var start = new ProcessStartInfo(executable)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // "dotnet bgsync.dll": the executable is the runtime's.
        if (Path.GetFileNameWithoutExtension(executable).Equals("dotnet", StringComparison.OrdinalIgnoreCase))
        {
            start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, typeof(ApplicationProcess).Assembly.GetName().Name + ".dll"));
        }

        start.ArgumentList.Add(DemoApplication.CommandName);
        start.ArgumentList.Add(server.AbsoluteUri);
        start.ArgumentList.Add(store);
        return start;
    }

    private async Task<TReport> ReadAsync<TReport>(CancellationToken cancellationToken)
        where TReport : ApplicationReport
    {
        // A read from a pipe cannot be broken off; the wait for it can.
        var line = await _process.StandardOutput.ReadLineAsync(CancellationToken.None).AsTask().WaitAsync(cancellationToken);
        if (line is null)
        {
            await _process.WaitForExitAsync(cancellationToken);
            throw new DemoFailedException($"The application ended with exit code {_process.ExitCode}.{Environment.NewLine}{Errors()}");
        }

        var report = JsonSerializer.Deserialize(line, DemoJson.Default.ApplicationReport);
        return report as TReport
            ?? throw new DemoFailedException($"The application was to report {typeof(TReport).Name}, and said: {line}");
    }

    private string Errors()
    {
        lock (_errors)
        {
            return _errors.ToString();
        }
    }
}

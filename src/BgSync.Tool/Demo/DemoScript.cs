using System.Diagnostics;
using System.Globalization;
using Spectre.Console;

namespace BgSync.Tool.Demo;

/// <summary>The demo, step by step.</summary>
internal sealed class DemoScript(IAnsiConsole console, DirectoryInfo directory) : IAsyncDisposable
{
    private static readonly TimeSpan _lookAgain = TimeSpan.FromMilliseconds(50);

    private readonly DemoServer _server = new();
    private readonly string _store = Path.Combine(directory.FullName, "queues.db");
    private ApplicationProcess? _application;
    private int _step;

    /// <summary>Plays the demo.</summary>
    /// <returns>Whether all arrived once, in order and identical.</returns>
    public async Task<bool> PlayAsync(int orders, int images, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        // Not on this thread: Ctrl-C is listened to from the first wait on.
        var uploads = await Task.Run(() => UploadPlan.Make(directory, orders, images, cancellationToken), cancellationToken);
        var online = uploads.Count / 4;

        await StartServerAsync(uploads, cancellationToken);
        await UploadAsync([.. uploads.Take(online)], cancellationToken);
        await StopServerAndUploadAsync([.. uploads.Skip(online)], cancellationToken);
        await KillAndRestartAsync(uploads.Count - online, cancellationToken);
        var deadLetters = await StartServerAndWatchAsync(uploads, cancellationToken);

        var result = DemoResult.Compare(uploads, _server.Arrivals, deadLetters);
        Show(result, Stopwatch.GetElapsedTime(started));
        return result.IsPerfect;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_application is not null)
        {
            await _application.DisposeAsync();
        }

        await _server.DisposeAsync();
    }

    private async Task StartServerAsync(IReadOnlyList<Upload> uploads, CancellationToken cancellationToken)
    {
        Head("A server on loopback");
        await _server.StartAsync(cancellationToken);
        Say($"Kestrel listens at {_server.Address}.");
        Say($"To be uploaded: {uploads.Count} requests, {ByteSize.Format(uploads.Sum(upload => upload.Length))}.");
    }

    private async Task UploadAsync(IReadOnlyList<Upload> uploads, CancellationToken cancellationToken)
    {
        Head("An application uploads while the server is there");
        _application = await StartApplicationAsync(cancellationToken);
        foreach (var upload in uploads)
        {
            var report = await _application.AskAsync<ApplicationReport>(upload.Command, cancellationToken);
            Say($"{upload.Title} ({ByteSize.Format(upload.Length)}): {Describe(report)}");
        }
    }

    private async Task StopServerAndUploadAsync(IReadOnlyList<Upload> uploads, CancellationToken cancellationToken)
    {
        Head("The server is stopped, the application goes on uploading");
        await _server.StopAsync(cancellationToken);
        foreach (var upload in uploads)
        {
            var report = await _application!.AskAsync<ApplicationReport>(upload.Command, cancellationToken);
            if (report is not ApplicationReport.Queued)
            {
                throw new DemoFailedException($"{upload.Title} was to be queued, but: {Describe(report)}");
            }
        }

        await ShowQueueAsync(uploads.Count, cancellationToken);
    }

    private async Task KillAndRestartAsync(int queued, CancellationToken cancellationToken)
    {
        Head("The application's process is killed and started again");
        Say($"Process {_application!.Id} is killed (SIGKILL).");
        await _application.KillAsync();
        await _application.DisposeAsync();
        _application = await StartApplicationAsync(cancellationToken);
        await ShowQueueAsync(queued, cancellationToken);
    }

    private async Task<long> StartServerAndWatchAsync(IReadOnlyList<Upload> uploads, CancellationToken cancellationToken)
    {
        Head("The server is back; the application does nothing");
        await _server.StartAsync(cancellationToken);
        Say($"Kestrel listens at {_server.Address} again.");

        var before = _server.Arrivals.Count;
        var started = Stopwatch.GetTimestamp();
        await console.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async progress =>
            {
                var replay = progress.AddTask("Replay", maxValue: uploads.Sum(upload => upload.Length));
                while (_server.Arrivals.Count < uploads.Count)
                {
                    replay.Value = _server.BytesReceived;
                    await Task.Delay(_lookAgain, TimeProvider.System, cancellationToken);
                }

                replay.Value = replay.MaxValue;
            });

        Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{_server.Arrivals.Count - before} requests arrived in {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s."));
        return await WaitForEmptyQueueAsync(cancellationToken);
    }

    /// <summary>The server has it before the queue lets go of it, so the queue is empty a moment later.</summary>
    private async Task<long> WaitForEmptyQueueAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var entries = await ListAsync(cancellationToken);
            if (entries.Waiting.Count == 0)
            {
                Say("The queue is empty.");
                return entries.DeadLetters;
            }

            await Task.Delay(_lookAgain, TimeProvider.System, cancellationToken);
        }
    }

    private async Task<ApplicationProcess> StartApplicationAsync(CancellationToken cancellationToken)
    {
        var application = await ApplicationProcess.StartAsync(_server.Address, _store, cancellationToken);
        Say($"The application runs as process {application.Id}.");
        return application;
    }

    private Task<ApplicationReport.Entries> ListAsync(CancellationToken cancellationToken) =>
        _application!.AskAsync<ApplicationReport.Entries>(new ApplicationCommand.ListEntries(), cancellationToken);

    private async Task ShowQueueAsync(int expected, CancellationToken cancellationToken)
    {
        var entries = await ListAsync(cancellationToken);
        Say($"{entries.Waiting.Count} requests stand in the queue '{DemoApplication.QueueName}':");
        console.Write(EntryTable.Of(entries.Waiting, TimeProvider.System.GetUtcNow(), console.Profile.Width));
        if (entries.Waiting.Count != expected)
        {
            throw new DemoFailedException($"{expected} requests were to stand in the queue, not {entries.Waiting.Count}.");
        }
    }

    private void Show(DemoResult result, TimeSpan elapsed)
    {
        Head("The result");
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumns("Sent to", "Arrived", "In this order", "In order", "Same SHA-256");
        foreach (var lane in result.Lanes)
        {
            table.AddRow(
                new Text(lane.Path),
                new Text($"{lane.Arrived.Count} of {lane.Sent.Count}"),
                new Text(string.Join(' ', lane.Arrived)),
                new Text(YesNo(lane.IsInOrder)),
                new Text(YesNo(lane.IsIdentical)));
        }

        console.Write(table);
        Say($"Arrived: {result.Arrived} of {result.Sent}. Duplicates: {result.Duplicates}. Dead letters: {result.DeadLetters}.");
        Say(result.IsPerfect
            ? string.Create(
                CultureInfo.InvariantCulture, $"All arrived once, in order and identical, in {elapsed.TotalSeconds:0.0} s.")
            : "FAILED: not all arrived once, in order and identical.");
    }

    private void Head(string title)
    {
        console.WriteLine();
        console.Write(new Rule(Markup.Escape($"{++_step}. {title}")).LeftJustified());
    }

    private void Say(string line) => console.WriteLine(line);

    private static string YesNo(bool value) => value ? "yes" : "NO";

    private static string Describe(ApplicationReport report) => report switch
    {
        ApplicationReport.Answered answered => $"answered with {answered.Status}",
        ApplicationReport.Queued queued => $"queued as entry {queued.EntryId}",
        ApplicationReport.Failed failed => $"failed: {failed.Reason}",
        _ => report.ToString(),
    };
}

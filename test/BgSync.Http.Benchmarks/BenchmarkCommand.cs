using System.CommandLine;
using System.Globalization;
using BgSync.Http.Benchmarks.Bodies;
using BgSync.Http.Benchmarks.Children;
using BgSync.Http.Benchmarks.Idle;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Others;
using BgSync.Http.Benchmarks.Queueing;
using BgSync.Http.Benchmarks.Queues;
using BgSync.Http.Benchmarks.Replay;
using BgSync.Http.Benchmarks.Reporting;
using BgSync.Http.Benchmarks.Scale;
using BgSync.Http.Benchmarks.Stores;
using BgSync.Http.Benchmarks.WayThrough;

namespace BgSync.Http.Benchmarks;

/// <summary>The command line: which parts, how thoroughly, and where the report goes.</summary>
internal static class BenchmarkCommand
{
    private static readonly IBenchmarkPart[] _parts =
    [
        new WayThroughPart(), new QueueingPart(), new ReplayPart(), new ScalePart(), new BodiesPart(), new IdlePart(), new OthersPart(),
        new StoresPart(),
    ];

    /// <summary>Runs what the arguments say.</summary>
    /// <param name="args">The arguments.</param>
    /// <param name="more">Stores that this project does not know, to be measured beside its own.</param>
    public static Task<int> RunAsync(string[] args, params QueueSubject[] more)
    {
        IEnumerable<QueueSubject> server = PostgreSqlSubject.IsHere ? [new PostgreSqlSubject()] : [];
        QueueSubject[] subjects = [new SqliteSubject(), .. more, .. server, new HandWrittenSubject(), new MemorySubject()];
        var names = new Argument<string[]>("part")
        {
            Description = $"What to measure: {string.Join(", ", _parts.Select(static part => part.Name))}. All of them when none is named.",
        };
        names.AcceptOnlyFromAmong([.. _parts.Select(static part => part.Name)]);
        var output = new Option<string?>("--output")
        {
            Description = "The folder that the report is written to, into what earlier runs of other parts have left there.",
        };
        var quick = new Option<bool>("--quick") { Description = "Only shows that everything runs; the figures mean nothing." };
        RootCommand command = new("Measures the queues and what they cost the requests that need none.") { names, output, quick };
        command.SetAction(result =>
        {
            var effort = new Effort(result.GetValue(quick));
            var folder = result.GetValue(output) ?? Path.Combine("artifacts", effort.IsQuick ? "benchmarks-quick" : "benchmarks");
            return RunAsync(result.GetValue(names)!, effort, folder, subjects);
        });
        command.Add(ChildCommand.Create(subjects));
        return command.Parse(args).InvokeAsync();
    }

    private static async Task<int> RunAsync(string[] names, Effort effort, string output, QueueSubject[] subjects)
    {
        using var folder = new WorkFolder();
        var report = await Report.OpenAsync(output);
        var text = "";
        foreach (var part in _parts.Where(part => names.Length == 0 || names.Contains(part.Name)))
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{part.Title} ({part.Name})"));
            var section = new Section { Title = part.Title, Surroundings = Surroundings.Describe(folder.Path, effort) };
            await part.RunAsync(new Bench(effort, section, folder, subjects));
            text = await report.SaveAsync(section, _parts.Select(static part => part.Title));
        }

        foreach (var subject in subjects)
        {
            await subject.DisposeAsync();
        }

        Console.WriteLine();
        Console.Write(text);
        return 0;
    }
}

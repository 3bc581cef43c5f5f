using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using BgSync.Http.Benchmarks.Measuring;
using Perfolizer.Horology;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>Runs the benchmarks of a class, each beside its baseline, and again, and keeps time and bytes of each pair.</summary>
internal sealed class HandlerCosts
{
    private readonly Dictionary<string, Cost> _costs = [];

    /// <summary>The cost of one case with a queue and with an empty handler.</summary>
    public sealed record Cost(Series QueueNanoseconds, Series EmptyNanoseconds, Series QueueBytes, Series EmptyBytes)
    {
        public double Nanoseconds => QueueNanoseconds.ExcessOver(EmptyNanoseconds);

        public double Bytes => QueueBytes.ExcessOver(EmptyBytes);

        public double Ratio => QueueNanoseconds.RatioTo(EmptyNanoseconds);
    }

    /// <summary>The cases by their parameters.</summary>
    public IReadOnlyDictionary<string, Cost> Cases => _costs;

    public static HandlerCosts Measure<TBenchmarks>(Effort effort, string folder)
    {
        var costs = new HandlerCosts();
        var config = CreateConfig(effort, folder);
        for (var pass = 0; pass < effort.Of(3, 1); pass++)
        {
            foreach (var report in BenchmarkRunner.Run<TBenchmarks>(config).Reports)
            {
                costs.Add(report);
            }
        }

        return costs;
    }

    private static ManualConfig CreateConfig(Effort effort, string folder)
    {
        // In this process: nothing is generated and built, and what is compared runs on the same heap and in the same minute.
        var job = Job.Default
            .WithToolchain(InProcessEmitToolchain.Instance)
            .WithWarmupCount(effort.Of(2, 1))
            .WithIterationCount(effort.Of(5, 1))
            .WithIterationTime(TimeInterval.FromMilliseconds(effort.Of(100, 5)));
        return ManualConfig.CreateEmpty()
            .AddJob(job)
            .AddLogger(NullLogger.Instance)
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .WithArtifactsPath(folder)
            .WithOptions(ConfigOptions.DisableOptimizationsValidator);
    }

    private void Add(BenchmarkReport report)
    {
        var benchmark = report.BenchmarkCase;
        if (report.ResultStatistics is not { } statistics)
        {
            throw new InvalidOperationException($"{benchmark.DisplayInfo} has no result.");
        }

        var parameters = string.Join(", ", benchmark.Parameters.Items.Select(static parameter => parameter.Value));
        if (!_costs.TryGetValue(parameters, out var cost))
        {
            _costs.Add(parameters, cost = new Cost(new(), new(), new(), new()));
        }

        var bytes = report.GcStats.GetBytesAllocatedPerOperation(benchmark) ?? 0;
        var (timeSeries, byteSeries) = benchmark.Descriptor.Baseline
            ? (cost.EmptyNanoseconds, cost.EmptyBytes)
            : (cost.QueueNanoseconds, cost.QueueBytes);
        timeSeries.Add(statistics.Median);
        byteSeries.Add(bytes);
    }
}

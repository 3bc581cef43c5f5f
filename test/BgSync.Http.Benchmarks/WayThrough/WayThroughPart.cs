using BgSync.Http.Benchmarks.Reporting;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>The cost of the handler for a request that is not queued.</summary>
internal sealed class WayThroughPart : IBenchmarkPart
{
    private static readonly Goal _unmatchedTime = Goal.AtMost(30, "+30 ns");
    private static readonly Goal _nothing = Goal.AtMost(0, "+0 B");
    private static readonly Goal _matchedTime = Goal.AtMost(2000, "+2 µs");
    private static readonly Goal _matchedBytes = Goal.AtMost(1024, "+1,024 B");

    public string Name => "way-through";

    public string Title => "The way through";

    public Task RunAsync(Bench bench)
    {
        Measure<UnmatchedRequest>(bench, "no route matches", _unmatchedTime, _nothing);
        Measure<UnmatchedNewRequest>(bench, "no route matches, its URI never looked at", null, null);
        Measure<MatchedRequest>(bench, "route matches, answered", _matchedTime, _matchedBytes);
        return Task.CompletedTask;
    }

    private static void Measure<TBenchmarks>(Bench bench, string what, Goal? time, Goal? bytes)
    {
        foreach (var (parameters, cost) in HandlerCosts.Measure<TBenchmarks>(bench.Effort, bench.Folder.Path).Cases)
        {
            // The cost of teeing is told; it is not the way of other bodies.
            var isTeed = parameters.EndsWith(nameof(BodyKind.OneShotStream), StringComparison.Ordinal);
            bench.Section.Add(new(
                $"{what} ({parameters}): time",
                cost.Nanoseconds,
                Figures.Excess(cost.Nanoseconds, "ns"),
                cost.Ratio,
                isTeed ? null : time,
                $"{what}: time"));
            bench.Section.Add(new(
                $"{what} ({parameters}): bytes",
                cost.Bytes,
                Figures.Excess(cost.Bytes, "B"),
                null,
                isTeed ? null : bytes,
                $"{what}: bytes"));
        }
    }
}

using System.Text.Json.Serialization;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>One line of the table.</summary>
/// <param name="What">The measurement, and the one that it is compared with.</param>
/// <param name="Value">The number that the goal is about.</param>
/// <param name="Reached">The number as the table says it.</param>
/// <param name="Ratio">It, divided by what was measured beside it; <see langword="null"/> where nothing was.</param>
/// <param name="Goal">The number to reach; <see langword="null"/> for a figure that is told only.</param>
/// <param name="Kind">The kind that it shares with others, the worst of which is plotted; <see langword="null"/> for none.</param>
internal sealed record Finding(string What, double Value, string Reached, double? Ratio, Goal? Goal = null, string? Kind = null)
{
    [JsonIgnore]
    public bool? IsReached => Goal?.IsReachedBy(Value);
}

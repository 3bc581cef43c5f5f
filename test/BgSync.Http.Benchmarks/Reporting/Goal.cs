namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>A number to reach.</summary>
/// <param name="Limit">The number.</param>
/// <param name="IsMost">Whether it is the most that is allowed; otherwise it is the least.</param>
/// <param name="Text">As the table says it.</param>
internal sealed record Goal(double Limit, bool IsMost, string Text)
{
    public static Goal AtMost(double limit, string text) => new(limit, true, $"≤ {text}");

    public static Goal AtLeast(double limit, string text) => new(limit, false, $"≥ {text}");

    /// <summary>How much of what is allowed was used: at most 1 when the goal is reached.</summary>
    public double Usage(double value) => IsMost ? (Limit == 0 ? (value <= 0 ? 0 : double.PositiveInfinity) : value / Limit) : Limit / value;

    public bool IsReachedBy(double value) => IsMost ? value <= Limit : value >= Limit;
}

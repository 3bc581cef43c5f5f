namespace BgSync.Http.Benchmarks.Measuring;

/// <summary>How much is measured: enough for figures, or just enough to show that all of it runs.</summary>
internal sealed record Effort(bool IsQuick)
{
    /// <summary>How often what is compared is measured in turn.</summary>
    public int Repeats => IsQuick ? 1 : 5;

    public int Of(int full, int quick) => IsQuick ? quick : full;
}

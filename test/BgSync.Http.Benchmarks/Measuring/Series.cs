namespace BgSync.Http.Benchmarks.Measuring;

/// <summary>The same thing measured several times.</summary>
internal sealed class Series
{
    private readonly List<double> _values = [];

    public double Median => MedianOf(_values);

    public void Add(double value) => _values.Add(value);

    /// <summary>The median of this one's values, each divided by the value that was measured beside it.</summary>
    public double RatioTo(Series baseline) => MedianOf(_values.Zip(baseline._values, static (value, other) => value / other));

    /// <summary>The median of the differences to what was measured beside.</summary>
    public double ExcessOver(Series baseline) => MedianOf(_values.Zip(baseline._values, static (value, other) => value - other));

    /// <summary>Measures several things in turn, again and again, so that whatever the machine does meanwhile meets all of them.</summary>
    public static async Task<Series[]> AlternateAsync(int repeats, params Func<Task<double>>[] measures)
    {
        var series = Array.ConvertAll(measures, static _ => new Series());
        for (var repeat = 0; repeat < repeats; repeat++)
        {
            for (var i = 0; i < measures.Length; i++)
            {
                series[i].Add(await measures[i]());
            }
        }

        return series;
    }

    private static double MedianOf(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}

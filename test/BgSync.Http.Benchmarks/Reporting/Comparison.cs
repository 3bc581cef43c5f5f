using System.Text.Json.Serialization;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>A table of what several things reach side by side: a column for each.</summary>
[JsonObjectCreationHandling(JsonObjectCreationHandling.Populate)]
internal sealed class Comparison
{
    public required IReadOnlyList<string> Columns { get; init; }

    public List<ComparisonRow> Rows { get; } = [];

    /// <summary>The rows that are drawn, more being better.</summary>
    public List<ComparisonChart> Charts { get; } = [];

    public void Add(string what, IEnumerable<string> cells)
    {
        Rows.Add(new(what, [.. cells]));
        Console.WriteLine($"  {what}: {string.Join(" | ", Columns.Zip(Rows[^1].Cells, static (column, cell) => $"{column} {cell}"))}");
    }

    public void Draw(string what, IEnumerable<double> values) => Charts.Add(new(what, [.. values]));
}

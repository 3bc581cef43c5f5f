namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>A table of what several things reach side by side: a column for each.</summary>
internal sealed class Comparison(IReadOnlyList<string> columns)
{
    private readonly List<(string What, string[] Cells)> _rows = [];
    private readonly List<(string What, double[] Values)> _charts = [];

    public IReadOnlyList<string> Columns => columns;

    public IReadOnlyList<(string What, string[] Cells)> Rows => _rows;

    /// <summary>The rows that are drawn, more being better.</summary>
    public IReadOnlyList<(string What, double[] Values)> Charts => _charts;

    public void Add(string what, IEnumerable<string> cells)
    {
        _rows.Add((what, [.. cells]));
        Console.WriteLine($"  {what}: {string.Join(" | ", columns.Zip(_rows[^1].Cells, static (column, cell) => $"{column} {cell}"))}");
    }

    public void Draw(string what, IEnumerable<double> values) => _charts.Add((what, [.. values]));
}

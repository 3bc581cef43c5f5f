namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>The results of several things, as the table says them.</summary>
internal sealed record ComparisonRow(string What, string[] Cells);

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>What each of several things reaches, as the table says it.</summary>
internal sealed record ComparisonRow(string What, string[] Cells);

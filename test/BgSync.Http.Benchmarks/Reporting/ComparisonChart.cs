namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>What each of several things reaches, to be drawn; what is no number is not drawn.</summary>
internal sealed record ComparisonChart(string What, double[] Values);

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>The results of several things, to be drawn; a result that is no number is not drawn.</summary>
internal sealed record ComparisonChart(string What, double[] Values);

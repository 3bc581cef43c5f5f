namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>The report as files.</summary>
internal static class ReportFiles
{
    public static async Task WriteAsync(string folder, Report report, string text)
    {
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "benchmarks.md"), text);
        Finding[] findings = [.. report.Sections.SelectMany(static section => section.Findings)];
        if (findings.Any(static finding => finding.Goal is not null))
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "benchmarks.svg"), SvgPlot.OfGoals(findings));
        }

        foreach (var section in report.Sections)
        {
            if (section.Comparison is { Charts.Count: > 0 } comparison)
            {
                await File.WriteAllTextAsync(Path.Combine(folder, "stores.svg"), SvgPlot.OfComparison(section.Title, comparison));
            }
        }
    }
}

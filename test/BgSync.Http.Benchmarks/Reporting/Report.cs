using System.Text.Json;
using System.Text.Json.Serialization;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>
/// The findings, part by part, and kept as JSON in a folder, so that parts which are run alone and later come into the same report.
/// </summary>
internal sealed class Report
{
    private static readonly JsonSerializerOptions _json = new()
    {
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private readonly string _folder;
    private readonly Dictionary<string, Section> _sections;

    private Report(string folder, IEnumerable<Section> sections)
    {
        _folder = folder;
        _sections = sections.ToDictionary(static section => section.Title);
    }

    /// <summary>Opens what a folder has of earlier runs.</summary>
    public static async Task<Report> OpenAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "benchmarks.json");
        return new(folder, File.Exists(file) ? JsonSerializer.Deserialize<Section[]>(await File.ReadAllTextAsync(file), _json)! : []);
    }

    /// <summary>Puts a section in the place of what an earlier run has found of the same part, and writes all of it.</summary>
    /// <param name="section">The section.</param>
    /// <param name="order">The titles of all parts.</param>
    /// <returns>The report as Markdown.</returns>
    public async Task<string> SaveAsync(Section section, IEnumerable<string> order)
    {
        _sections[section.Title] = section;
        Section[] sections = [.. order.Where(_sections.ContainsKey).Select(title => _sections[title])];
        var text = MarkdownReport.Write(sections);
        await WriteAsync("benchmarks.json", JsonSerializer.Serialize(sections, _json));
        await WriteAsync("benchmarks.md", text);
        if (sections.Any(static section => section.Findings.Any(static finding => finding.Goal is not null)))
        {
            await WriteAsync("benchmarks.svg", SvgPlot.OfGoals(sections));
        }

        if (section.Comparison is { Charts.Count: > 0 } comparison)
        {
            await WriteAsync("stores.svg", SvgPlot.OfComparison(section.Title, comparison));
        }

        return text;
    }

    private Task WriteAsync(string name, string text) => File.WriteAllTextAsync(Path.Combine(_folder, name), text);
}

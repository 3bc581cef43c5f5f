using System.Globalization;
using System.Text.Json.Serialization;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>The findings of one part. Each line is shown as it comes: a run takes long.</summary>
[JsonObjectCreationHandling(JsonObjectCreationHandling.Populate)]
internal sealed class Section
{
    public required string Title { get; init; }

    /// <summary>On what its figures were taken.</summary>
    public required string Surroundings { get; init; }

    public List<Finding> Findings { get; } = [];

    public List<string> Notes { get; } = [];

    /// <summary>A table of its own beside the findings.</summary>
    [JsonObjectCreationHandling(JsonObjectCreationHandling.Replace)]
    public Comparison? Comparison { get; set; }

    public void Add(Finding finding)
    {
        Findings.Add(finding);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"  {finding.What}: {finding.Reached} {finding.Ratio:0.00×} {finding.Goal?.Text}"));
    }

    public void Note(string note)
    {
        Notes.Add(note);
        Console.WriteLine($"  {note}");
    }

    public Comparison Compare(IEnumerable<string> columns) => Comparison = new Comparison { Columns = [.. columns] };
}

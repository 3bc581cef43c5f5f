using System.Globalization;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>What one part has found. Each line is shown as it comes: a run takes long.</summary>
internal sealed class Section(string title)
{
    private readonly List<Finding> _findings = [];
    private readonly List<string> _notes = [];

    public string Title => title;

    public IReadOnlyList<Finding> Findings => _findings;

    public IReadOnlyList<string> Notes => _notes;

    /// <summary>A table of its own beside the findings.</summary>
    public Comparison? Comparison { get; private set; }

    public void Add(Finding finding)
    {
        _findings.Add(finding);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"  {finding.What}: {finding.Reached} {finding.Ratio:0.00×} {finding.Goal?.Text}"));
    }

    public void Note(string note)
    {
        _notes.Add(note);
        Console.WriteLine($"  {note}");
    }

    public Comparison Compare(IEnumerable<string> columns) => Comparison = new Comparison([.. columns]);
}

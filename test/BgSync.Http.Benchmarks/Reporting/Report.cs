namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>What a run has found, part by part.</summary>
internal sealed class Report
{
    private readonly List<Section> _sections = [];

    public IReadOnlyList<Section> Sections => _sections;

    public Section Begin(string title)
    {
        var section = new Section(title);
        _sections.Add(section);
        return section;
    }
}

using System.Globalization;
using System.Text;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>The report as Markdown.</summary>
internal static class MarkdownReport
{
    public static string Write(IReadOnlyList<Section> sections)
    {
        var text = new StringBuilder();
        var surroundings = sections.GroupBy(static section => section.Surroundings, static section => section.Title).ToArray();
        foreach (var parts in surroundings)
        {
            var which = surroundings.Length > 1 ? $"{string.Join("; ", parts)}: " : "";
            text.AppendLine(CultureInfo.InvariantCulture, $"{which}{parts.Key}").AppendLine();
        }

        if (sections.Any(static section => section.Findings.Count > 0))
        {
            text.AppendLine("| What | Reached | Wanted | Ratio | |").AppendLine("|---|---:|---:|---:|:-:|");
            foreach (var finding in sections.SelectMany(static section => section.Findings))
            {
                text.Append("| ").Append(finding.What)
                    .Append(" | ").Append(finding.Reached)
                    .Append(" | ").Append(finding.Goal?.Text)
                    .Append(" | ").Append(finding.Ratio is { } ratio ? Figures.Times(ratio) : "")
                    .Append(" | ").Append(finding.IsReached switch { true => "✓", false => "✗", null => "" })
                    .AppendLine(" |");
            }

            text.AppendLine();
        }

        foreach (var section in sections)
        {
            if (section.Comparison is { } comparison)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"| {section.Title} | {string.Join(" | ", comparison.Columns)} |");
                text.AppendLine(CultureInfo.InvariantCulture, $"|---|{string.Concat(comparison.Columns.Select(static _ => "---:|"))}");
                foreach (var (what, cells) in comparison.Rows)
                {
                    text.AppendLine(CultureInfo.InvariantCulture, $"| {what} | {string.Join(" | ", cells)} |");
                }

                text.AppendLine();
            }
        }

        foreach (var note in sections.SelectMany(static section => section.Notes.Select(note => $"{section.Title}: {note}")))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"- {note}");
        }

        return text.ToString();
    }
}

using System.Globalization;
using System.Net;
using System.Text;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>Horizontal bars as SVG, on a ground of its own: light, or dark where the reader has asked for that.</summary>
internal sealed class SvgPlot(string title, double scale, double? mark)
{
    private const int Width = 860;
    private const int LabelWidth = 430;
    private const int BarWidth = 210;
    private const int RowHeight = 20;
    private const int Top = 40;

    private const string Style = """
        <style>
          .ground { fill: #ffffff; } .ink { fill: #1f2328; } .line { stroke: #1f2328; }
          .good { fill: #2a9d5c; } .bad { fill: #d1495b; } .plain { fill: #3a7ca5; }
          @media (prefers-color-scheme: dark) { .ground { fill: #161b22; } .ink { fill: #e6edf3; } .line { stroke: #e6edf3; } }
        </style>
        """;

    // A row without a value is a heading.
    private readonly List<(string Label, double? Value, string Text, string Class)> _rows = [];

    /// <summary>How much of what each goal allows was used: the bars that end before the mark have reached it.</summary>
    public static string OfGoals(IEnumerable<Section> sections)
    {
        var plot = new SvgPlot("Used of what each number allows: a bar that ends before the line has reached it", scale: 2, mark: 1);
        foreach (var section in sections)
        {
            var kinds = section.Findings.Where(static finding => finding.Goal is not null)
                .GroupBy(static finding => finding.Kind ?? finding.What)
                .ToArray();
            if (kinds.Length > 0)
            {
                plot._rows.Add((section.Title, null, "", ""));
            }

            foreach (var kind in kinds)
            {
                var worst = kind.MaxBy(static finding => finding.Goal!.Usage(finding.Value))!;
                plot._rows.Add((
                    kind.Count() > 1 ? $"{kind.Key}, worst of {kind.Count()}" : kind.Key,
                    worst.Goal!.Usage(worst.Value),
                    $"{(worst.Value == worst.Ratio ? Figures.Times(worst.Value) : worst.Reached)} ({worst.Goal.Text})",
                    worst.IsReached == true ? "good" : "bad"));
            }
        }

        return plot.Write();
    }

    /// <summary>Results side by side; the longest bar is the best.</summary>
    public static string OfComparison(string title, Comparison comparison)
    {
        var plot = new SvgPlot(title, scale: 1, mark: null);
        foreach (var (what, values) in comparison.Charts)
        {
            var best = values.Where(double.IsFinite).DefaultIfEmpty(1).Max();
            plot._rows.Add((what, null, "", ""));
            plot._rows.AddRange(values.Zip(comparison.Columns)
                .Where(static bar => double.IsFinite(bar.First))
                .Select(bar => (bar.Second, (double?)(bar.First / best), Figures.PerSecond(bar.First), "plain")));
        }

        return plot.Write();
    }

    private string Write()
    {
        var height = Top + (_rows.Count * RowHeight) + 10;
        var svg = new StringBuilder();
        Line($"""<svg xmlns="http://www.w3.org/2000/svg" width="{Width}" height="{height}" viewBox="0 0 {Width} {height}">""");
        Line($"{Style}");
        Line($"""<rect class="ground" width="{Width}" height="{height}" rx="6"/>""");
        Line($"""<g class="ink" font-family="system-ui, sans-serif" font-size="12">""");
        Line($"""<text x="12" y="24" font-size="14" font-weight="600">{WebUtility.HtmlEncode(title)}</text>""");
        for (var i = 0; i < _rows.Count; i++)
        {
            WriteRow(Top + (i * RowHeight), _rows[i]);
        }

        svg.Append("</g></svg>\n");
        return svg.ToString();

        void WriteRow(int y, (string Label, double? Value, string Text, string Class) row)
        {
            var label = WebUtility.HtmlEncode(row.Label);
            if (row.Value is not { } value)
            {
                Line($"""<text x="12" y="{y + 13}" font-weight="600">{label}</text>""");
                return;
            }

            // No number at all is none that was reached.
            var length = double.IsNaN(value) ? BarWidth : Math.Clamp(value / scale * BarWidth, 1, BarWidth);
            Line($"""<text x="{LabelWidth - 8}" y="{y + 12}" text-anchor="end">{label}</text>""");
            Line($"""<rect class="{row.Class}" x="{LabelWidth}" y="{y}" width="{length:0.#}" height="14" rx="2"/>""");
            Line($"""<text x="{LabelWidth + BarWidth + 8}" y="{y + 12}">{WebUtility.HtmlEncode(row.Text)}</text>""");
            if (mark is not null)
            {
                var x = LabelWidth + (mark.Value / scale * BarWidth);
                Line($"""<line class="line" x1="{x}" y1="{y - 3}" x2="{x}" y2="{y + RowHeight - 3}" stroke-dasharray="4 3"/>""");
            }
        }

        void Line(FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}

using System.Globalization;
using System.Net;
using System.Text;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>Horizontal bars as SVG, readable on light and on dark.</summary>
internal sealed class SvgPlot(string title, double scale, double? mark)
{
    private const int LabelWidth = 430;
    private const int BarWidth = 330;
    private const int ValueWidth = 160;
    private const int RowHeight = 20;
    private const int Top = 44;

    private readonly List<(string Label, double Value, string Text, string Colour)> _bars = [];

    /// <summary>How much of what each goal allows was used: the bars that end before the mark have reached it.</summary>
    public static string OfGoals(IEnumerable<Finding> findings)
    {
        var plot = new SvgPlot("Used of what the number allows: left of the line is reached", scale: 2, mark: 1);
        foreach (var finding in findings.Where(static finding => finding.Goal is not null))
        {
            plot.Add(
                finding.What,
                finding.Goal!.Usage(finding.Value),
                $"{finding.Reached} ({finding.Goal.Text})",
                finding.IsReached == true ? "#2a9d5c" : "#d1495b");
        }

        return plot.Write();
    }

    /// <summary>What things reach side by side; the longest bar is the best.</summary>
    public static string OfComparison(string title, Comparison comparison)
    {
        var plot = new SvgPlot(title, scale: 1, mark: null);
        foreach (var (what, values) in comparison.Charts)
        {
            var best = values.Where(double.IsFinite).DefaultIfEmpty(1).Max();
            for (var i = 0; i < values.Length; i++)
            {
                plot.Add($"{what}: {comparison.Columns[i]}", values[i] / best, Figures.PerSecond(values[i]), "#3a7ca5");
            }
        }

        return plot.Write();
    }

    private void Add(string label, double value, string text, string colour)
    {
        if (double.IsFinite(value) || double.IsPositiveInfinity(value))
        {
            _bars.Add((label, value, text, colour));
        }
    }

    private string Write()
    {
        var width = LabelWidth + BarWidth + ValueWidth;
        var height = Top + (_bars.Count * RowHeight) + 10;
        var svg = new StringBuilder();
        Line($"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">""");
        Line($"""<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>""");
        Line($"""<g font-family="system-ui, sans-serif" font-size="12" fill="#222222">""");
        Line($"""<text x="12" y="24" font-size="14" font-weight="600">{WebUtility.HtmlEncode(title)}</text>""");
        for (var i = 0; i < _bars.Count; i++)
        {
            var (label, value, text, colour) = _bars[i];
            var y = Top + (i * RowHeight);
            var length = Math.Max(1, Math.Min(value / scale, 1) * BarWidth);
            Line($"""<text x="{LabelWidth - 8}" y="{y + 12}" text-anchor="end">{WebUtility.HtmlEncode(label)}</text>""");
            Line($"""<rect x="{LabelWidth}" y="{y}" width="{length:0.#}" height="14" rx="2" fill="{colour}"/>""");
            Line($"""<text x="{LabelWidth + length + 6:0.#}" y="{y + 12}" font-size="11">{WebUtility.HtmlEncode(text)}</text>""");
        }

        if (mark is not null)
        {
            var x = LabelWidth + (mark.Value / scale * BarWidth);
            Line($"""<line x1="{x}" y1="{Top - 8}" x2="{x}" y2="{height - 8}" stroke="#222222" stroke-dasharray="4 3"/>""");
        }

        svg.Append("</g></svg>\n");
        return svg.ToString();

        void Line(FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}

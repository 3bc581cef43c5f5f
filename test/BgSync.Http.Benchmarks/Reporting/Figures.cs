using System.Globalization;

namespace BgSync.Http.Benchmarks.Reporting;

/// <summary>Numbers as the tables say them: three digits that count, and a unit.</summary>
internal static class Figures
{
    private static readonly string[] _byteUnits = ["B", "KiB", "MiB", "GiB"];

    public static string Number(double value)
    {
        var size = Math.Abs(value);
        var format = size switch
        {
            >= 100 => "#,0",
            >= 10 => "0.0",
            >= 0.1 => "0.00",
            _ => "0.####",
        };
        return value.ToString(format, CultureInfo.InvariantCulture);
    }

    /// <summary>The difference of one measurement to another.</summary>
    public static string Excess(double value, string unit) => $"{(value < 0 ? "−" : "+")}{Number(Math.Abs(value))} {unit}";

    public static string Milliseconds(double value) => $"{Number(value)} ms";

    public static string PerSecond(double value) => $"{Number(value)}/s";

    public static string Times(double value) => $"{value.ToString("0.00", CultureInfo.InvariantCulture)} ×";

    public static string Count(int count, string of) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:#,0} {of}{(count == 1 ? "" : "s")}");

    public static string Bytes(double value)
    {
        var unit = 0;
        while (Math.Abs(value) >= 10_000 && unit < _byteUnits.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return $"{Number(value)} {_byteUnits[unit]}";
    }
}

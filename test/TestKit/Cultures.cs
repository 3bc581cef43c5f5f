namespace TestKit;

/// <summary>
/// Cultures that find faults: the Turkish I, digits and signs that are not Latin, the Persian and the Buddhist calendar, the decimal comma.
/// </summary>
public static class Cultures
{
    public static IReadOnlyList<string> Names { get; } = ["tr-TR", "ar-SA", "fa-IR", "th-TH", "de-DE"];
}

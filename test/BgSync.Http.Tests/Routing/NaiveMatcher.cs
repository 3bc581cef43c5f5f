namespace BgSync.Http.Tests.Routing;

/// <summary>The meaning of a template, in the plainest code: the measure for the tree.</summary>
internal static class NaiveMatcher
{
    public static bool IsMatch(string template, string path) => IsMatch(Split(template), Split(path));

    private static bool IsMatch(string[] template, string[] path) => (template, path) switch
    {
        ([], []) => true,
        ([], _) => false,
        ([['{', '*', ..]], _) => true,
        ([['{', .., '?', '}']], []) => true,
        (_, []) => false,
        ([['{', ..], ..], _) => path[0].Length > 0 && IsMatch(template[1..], path[1..]),
        _ => template[0].Equals(path[0], StringComparison.OrdinalIgnoreCase) && IsMatch(template[1..], path[1..]),
    };

    private static string[] Split(string path)
    {
        var segments = path.Split('/')[1..];
        return segments[^1].Length == 0 ? segments[..^1] : segments;
    }
}

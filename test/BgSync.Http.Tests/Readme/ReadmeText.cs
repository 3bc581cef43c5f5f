using System.Text.RegularExpressions;
using TestKit;

namespace BgSync.Http.Tests.Readme;

/// <summary>The README, taken apart.</summary>
internal static partial class ReadmeText
{
    public static string All { get; } = SourceTree.Read("README.md");

    /// <summary>The fenced blocks of a language.</summary>
    public static IEnumerable<string> Blocks(string language) =>
        Block().Matches(All).Where(block => block.Groups["language"].Value == language).Select(block => block.Groups["text"].Value);

    /// <summary>The rows of the table with this head, each as its cells.</summary>
    public static IEnumerable<string[]> Table(string head) =>
        All[(All.IndexOf(head, StringComparison.Ordinal) + head.Length)..].Split('\n')
            .Skip(2)
            .TakeWhile(static line => line.StartsWith('|'))
            .Select(static line => line.Trim('|').Split('|', StringSplitOptions.TrimEntries));

    /// <summary>The lines of a text that say something, with one space where there are more.</summary>
    public static string Normalise(string text) =>
        string.Join('\n', text.Split('\n').Select(static line => Spaces().Replace(line.Trim(), " ")).Where(static line => line.Length > 0));

    [GeneratedRegex(@"^```(?<language>\w+)\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}

using System.Text;
using Xunit;

namespace TestKit.Storage;

/// <summary>The text of each <see cref="HardText"/>.</summary>
public static class HardTexts
{
    /// <summary>Each of them, for a theory.</summary>
    public static TheoryData<HardText> All => [.. Enum.GetValues<HardText>()];

    // Random, so that it does not become short where it is compressed; of a seed, so that it is the same each time.
    private static readonly string _lengthy = MakeLengthy();

    public static string Value(this HardText text) => text switch
    {
        HardText.Empty => "",
        HardText.Space => " ",
        HardText.Quotes => "a'b\"c`d\\e;-- {$f} [g] $h @i",
        HardText.Wildcards => "%a_b*c?",
        HardText.LineBreaks => "a\r\nb\tc\n",
        HardText.Nul => "\0a\0b\0",
        HardText.HalfASurrogatePair => "a\uD83Db",
        HardText.Emoji => "👩‍👩‍👧‍👦🇪🇺",
        HardText.Combining => "e\u0301",
        HardText.UpperCase => "LANE É",
        HardText.Lengthy => _lengthy,
        _ => throw new ArgumentOutOfRangeException(nameof(text), text, null),
    };

    /// <summary>Another text that a careless comparison takes for the same.</summary>
    public static string Lookalike(this HardText text) => text switch
    {
        HardText.Empty => " ",
        HardText.Space => "  ",
        HardText.Quotes => "a''b\"c`d\\e;-- {$f} [g] $h @i",
        HardText.Wildcards => "%a_bbc?",
        HardText.LineBreaks => "a\nb\tc\n",
        HardText.Nul => "\0a\0c\0",
        HardText.HalfASurrogatePair => "a\uD83Dc",
        HardText.Emoji => "👩‍👩‍👧🇪🇺",
        HardText.Combining => "é",
        HardText.UpperCase => "lane é",
        HardText.Lengthy => _lengthy[..^1] + "!",
        _ => throw new ArgumentOutOfRangeException(nameof(text), text, null),
    };

    /// <summary>
    /// Asserts that a text was kept. What no encoding can write, half of a surrogate pair, and what not every database takes, U+0000,
    /// may have become U+FFFD.
    /// </summary>
    public static void AssertKept(string expected, string? actual)
    {
        var replaced = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(expected));
        if (actual != expected && actual != replaced)
        {
            Assert.Equal(replaced.Replace('\0', '\uFFFD'), actual);
        }
    }

    private static string MakeLengthy()
    {
        var random = new Random(1);
        return string.Concat(Enumerable.Range(0, 10_000).Select(_ => (char)random.Next('À', '퟿')));
    }
}

namespace TestKit.Storage;

/// <summary>
/// Texts that are hard to store. They go by names, because some of them can stand neither in the name of a test nor in a report of it.
/// </summary>
public enum HardText
{
    Empty,
    Space,
    Quotes,
    Wildcards,
    LineBreaks,
    Nul,
    HalfASurrogatePair,
    Emoji,
    Combining,
    UpperCase,
    Lengthy,
}

namespace BgSync.Http.Tests.Workbox;

/// <summary>The tests of Workbox that mean nothing here, and why.</summary>
internal static class NotApplicable
{
    public static IReadOnlyDictionary<int, string> Reasons { get; } = new Dictionary<int, string>
    {
        [53] = "A copy of 52, word for word.",
        [65] = "Runs 1 to 64 in real browsers; the runner of these tests does that.",
    };
}

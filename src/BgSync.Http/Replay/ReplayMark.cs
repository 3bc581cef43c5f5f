namespace BgSync.Http.Replay;

/// <summary>Marks a message as a replay, so that no queue takes it once more.</summary>
internal static class ReplayMark
{
    private static readonly HttpRequestOptionsKey<bool> _key = new("BgSync.Http.Replay");

    public static void Set(HttpRequestMessage request) => request.Options.Set(_key, true);

    public static bool IsOn(HttpRequestMessage request) => request.Options.TryGetValue(_key, out _);
}

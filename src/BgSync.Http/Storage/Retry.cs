namespace BgSync.Http.Storage;

/// <summary>How a leased entry goes back to its lane.</summary>
/// <param name="Delay">How long it waits; zero for at once.</param>
/// <param name="CountsAsAttempt">Whether the attempt may have reached the server.</param>
/// <param name="Error">What went wrong, without secrets; <see langword="null"/> leaves the last one as it is.</param>
/// <param name="AskedByServer">Whether the server asked for the wait (<c>Retry-After</c>), so that only time ends it.</param>
public sealed record Retry(TimeSpan Delay, bool CountsAsAttempt, string? Error = null, bool AskedByServer = false);

namespace BgSync.Http.Storage;

/// <summary>How a leased entry goes back to its lane.</summary>
/// <param name="Delay">How long it waits; zero for at once, <see cref="TimeSpan.MaxValue"/> until its backoff is cleared.</param>
/// <param name="CountsAsAttempt">Whether the attempt may have reached the server.</param>
/// <param name="Error">What went wrong, without secrets; <see langword="null"/> leaves the last one as it is.</param>
/// <param name="OnlyTimeEndsDelay">Whether the server asked for the wait (<c>Retry-After</c>), so that nothing but time ends it.</param>
/// <param name="LeavesLane">
/// Whether the entry leaves its lane, which goes on without it, for one of its own, named <c>&lt;lane&gt;#&lt;id&gt;</c>. It keeps its
/// position and its attempts. One that is in a lane of its own stays there.
/// </param>
/// <param name="StatusCode">The status of the reply, if there was one.</param>
public sealed record Retry(
    TimeSpan Delay, bool CountsAsAttempt, string? Error = null,
    bool OnlyTimeEndsDelay = false, bool LeavesLane = false, int? StatusCode = null)
{
    /// <summary>Whether it is one of the <see cref="FailedAttempt"/>s that are kept: not one broken off, nor one made offline.</summary>
    internal bool IsFailedAttempt => Error is not null && (CountsAsAttempt || StatusCode is not null);
}

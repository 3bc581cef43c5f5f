using BgSync.Http.Connectivity;

namespace BgSync.Http.Outcomes;

/// <summary>
/// The end of a leased entry's attempt: decided by <c>OutcomeRules</c>, written by the store, and published as an event. The hierarchy
/// is closed.
/// </summary>
internal abstract record Settlement
{
    private Settlement()
    {
    }

    /// <summary>The part that concerns the origin.</summary>
    internal OriginReport Origin { get; init; }

    /// <summary>The server took the request: the entry is removed, and its receipt written.</summary>
    /// <param name="StatusCode">The status of the response.</param>
    /// <param name="Response">The response; <see langword="null"/> when only its status is kept.</param>
    internal sealed record Delivered(int StatusCode, StoredResponse? Response = null) : Settlement;

    /// <summary>The entry goes back to its lane and is sent again.</summary>
    /// <param name="Delay">How long it waits; zero for at once, <see cref="TimeSpan.MaxValue"/> until its backoff is cleared.</param>
    /// <param name="CountsAsAttempt">Whether the attempt may have reached the server.</param>
    /// <param name="Error">The reason of the failure, without secrets; <see langword="null"/> leaves the last error as it is.</param>
    /// <param name="RequestedDelay">Whether the server asked for the wait (<c>Retry-After</c>), so that nothing but time ends it.</param>
    /// <param name="LeavesLane">
    /// Whether the entry leaves its lane, which goes on without it, for one of its own, named <c>&lt;lane&gt;#&lt;id&gt;</c>. It keeps its
    /// position and its attempts. An entry that is in a lane of its own stays there.
    /// </param>
    /// <param name="StatusCode">The status of the response, if there was one.</param>
    internal sealed record Retry(
        TimeSpan Delay,
        bool CountsAsAttempt,
        string? Error = null,
        bool RequestedDelay = false,
        bool LeavesLane = false,
        int? StatusCode = null) : Settlement
    {
        /// <summary>Whether it is one of the <see cref="FailedAttempt"/>s that are kept: neither broken off nor made offline.</summary>
        internal bool IsFailedAttempt => Error is not null && (CountsAsAttempt || StatusCode is not null);

        internal override Retry AsRetry() => this;
    }

    /// <summary>The entry becomes a dead letter.</summary>
    /// <param name="Cause">The cause.</param>
    /// <param name="Error">The reason of the failure, without secrets.</param>
    /// <param name="StatusCode">The status of the last response, if there was one.</param>
    /// <param name="Response">The last response, if there was one and more than its status is kept.</param>
    /// <param name="IsKept">Whether the dead letter is kept; otherwise the entry is removed with its body.</param>
    internal sealed record DeadLettered(
        DeadLetterCause Cause, string? Error = null, int? StatusCode = null, StoredResponse? Response = null, bool IsKept = true)
        : Settlement
    {
        /// <summary>Whether an attempt ended the entry, which is the last of the <see cref="FailedAttempt"/>s that are kept.</summary>
        internal bool IsOfAttempt => Cause is DeadLetterCause.Rejected or DeadLetterCause.Exhausted or DeadLetterCause.MaybeProcessed;
    }

    /// <summary>The attempt was broken off, or never made: the entry is given back and is due at once.</summary>
    /// <param name="WasSent">Whether the server may have seen the request, so that the attempt counts.</param>
    internal sealed record Released(bool WasSent) : Settlement
    {
        internal override Retry AsRetry() => new(TimeSpan.Zero, WasSent);
    }

    /// <summary>
    /// The entry goes back to its lane and is due at once, but its origin is held: until the backoff ends, or a trigger says that the
    /// credentials or the way to the server are good again.
    /// </summary>
    /// <param name="Error">The server's demand, and where it sent the request.</param>
    /// <param name="CountsAsAttempt">Whether the attempt counts: the first answer and each probe do.</param>
    /// <param name="StatusCode">The status of the response, if there was one.</param>
    internal sealed record Held(string Error, bool CountsAsAttempt, int? StatusCode) : Settlement
    {
        internal override Retry AsRetry() => new(TimeSpan.Zero, CountsAsAttempt, Error, StatusCode: StatusCode);
    }

    /// <summary>How an entry that stays in its queue goes back to its lane.</summary>
    /// <exception cref="InvalidOperationException">The entry has left its queue.</exception>
    internal virtual Retry AsRetry() => throw new InvalidOperationException($"{GetType().Name} leaves nothing in the queue.");
}

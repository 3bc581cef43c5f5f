using BgSync.Http.Outcomes;

namespace BgSync.Http.Replay;

/// <summary>What is to become of an entry after an attempt; exactly one of the members says it.</summary>
/// <param name="Status">The status of the response, if there was one.</param>
internal abstract record ReplayOutcome(int? Status)
{
    /// <summary>The server has it.</summary>
    public sealed record Delivered(Settlement.Delivered Delivery) : ReplayOutcome(Delivery.StatusCode);

    /// <summary>It goes back to its lane.</summary>
    public sealed record Again(Settlement.Retry Retry, int? Code) : ReplayOutcome(Code);

    /// <summary>It goes back to its lane, and the queue waits for credentials.</summary>
    public sealed record Pause(string Reason, int? Code) : ReplayOutcome(Code);

    /// <summary>It becomes a dead letter.</summary>
    public sealed record DeadLettered(Settlement.DeadLettered Death) : ReplayOutcome(Death.StatusCode);
}

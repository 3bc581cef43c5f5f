namespace BgSync.Http;

/// <summary>Whether a live request may be sent before the entries that wait in its lane.</summary>
public enum Overtaking
{
    /// <summary>It is sent at once, as in Workbox.</summary>
    Allowed,

    /// <summary>
    /// The entries that wait in its lane are sent first, as by hand; if they cannot be, the request is queued behind them without
    /// being sent. Live requests of one lane are sent one after another, so that an old PUT never overwrites a new one.
    /// </summary>
    /// <remarks>
    /// A request waits for those before it as long as an attempt may take, and is queued after that. A handler inside must not
    /// send another watched request of the same lane: that one would wait for the first. Processes that share a store keep this
    /// order among the requests that are queued, not among those that they are sending live, and what is pushed by hand does not
    /// wait for a live request that is under way. An entry that has left its lane
    /// (<see cref="BackgroundSyncRetryOptions.SkipAfterAttempts"/>) holds back nobody.
    /// </remarks>
    Never,
}

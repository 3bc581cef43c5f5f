namespace BgSync.Http;

/// <summary>How a queue is replayed (<see cref="BackgroundSyncOptions.Replay"/>).</summary>
/// <remarks>Bound from the nested configuration section <c>Replay</c>. Not to be changed once the application runs.</remarks>
public sealed class BackgroundSyncReplayOptions
{
    /// <summary>
    /// How often the queue is looked at although nothing happened: for entries of other processes, and because no network event is
    /// to be relied on. Default: 1 min.
    /// </summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Up to how long a replay waits, at random, after a start or a network event, so that devices which come back together do not
    /// arrive together. Default: 1 s.
    /// </summary>
    public TimeSpan TriggerJitter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How many lanes are sent side by side. Default: 8.</summary>
    public int MaxConcurrentLanes { get; set; } = 8;

    /// <summary>
    /// How long an entry that is being sent stays reserved should this process hang; renewed while it runs. Default: 1 min.
    /// </summary>
    public TimeSpan LeaseDuration { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long a stop waits for requests under way before it breaks them off and gives them back. Default: 5 s.</summary>
    public TimeSpan ShutdownGrace { get; set; } = TimeSpan.FromSeconds(5);
}

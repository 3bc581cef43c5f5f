namespace BgSync.Http;

/// <summary>Which dead letters a queue keeps (<see cref="BackgroundSyncOptions.DeadLetters"/>).</summary>
/// <remarks>Bound from the nested configuration section <c>DeadLetters</c>. Not to be changed once the application runs.</remarks>
public sealed class BackgroundSyncDeadLetterOptions
{
    /// <summary>
    /// How many dead letters the queue keeps; the first to die are deleted before the others. Default: <see langword="null"/>, no
    /// limit. Range: 0 and more.
    /// </summary>
    /// <remarks>
    /// They are counted once in a <see cref="BackgroundSyncReplayOptions.Interval"/>, so that there may be more in between.
    /// </remarks>
    public int? MaxCount { get; set; }

    /// <summary>
    /// How long a dead letter is kept before it is deleted with its body, counted from its death. Default:
    /// <see cref="Timeout.InfiniteTimeSpan"/>, until the application deletes it. Looked at once in a
    /// <see cref="BackgroundSyncReplayOptions.Interval"/>.
    /// </summary>
    public TimeSpan Retention { get; set; } = Timeout.InfiniteTimeSpan;

    /// <summary>
    /// Whether an entry that has expired is deleted, as in Workbox, instead of becoming a dead letter. Default:
    /// <see langword="false"/>. The event (<see cref="EntryEventKind.DeadLettered"/>), the metric and the log tell of it all the same.
    /// </summary>
    public bool DiscardExpired { get; set; }
}

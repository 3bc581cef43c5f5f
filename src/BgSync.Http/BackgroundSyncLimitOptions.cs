namespace BgSync.Http;

/// <summary>How much a queue takes (<see cref="BackgroundSyncOptions.Limits"/>).</summary>
/// <remarks>Bound from the nested configuration section <c>Limits</c>. Not to be changed once the application runs.</remarks>
public sealed class BackgroundSyncLimitOptions
{
    /// <summary>
    /// How many entries the queue may hold, those past their retention or being sent too. Default: <see langword="null"/>, no limit
    /// but the disk. Range: 1 and more.
    /// </summary>
    /// <remarks>
    /// Dead letters do not count, and may be put back whatever the limit; <see cref="WhenFull"/> says what happens at it.
    /// </remarks>
    public long? MaxEntries { get; set; }

    /// <summary>
    /// How many bytes the bodies of the queue's entries may have together. Default: <see langword="null"/>, no limit but the disk.
    /// Range: 0 and more.
    /// </summary>
    /// <remarks>
    /// Counted as <see cref="MaxEntries"/> is. A request whose body alone is larger is never queued as an entry of its own. One that takes
    /// the place of an entry (<see cref="Coalescing.ReplaceQueued"/>), and an edit, are not asked for room: the queue may grow beyond this
    /// by them.
    /// </remarks>
    public long? MaxBytes { get; set; }

    /// <summary>
    /// The largest body that is queued, in bytes; a request with a larger one fails as if there were no queue. Default:
    /// <see langword="null"/>, no limit but the disk.
    /// </summary>
    public long? MaxBodyLength { get; set; }

    /// <summary>
    /// The action taken when a request does not fit into the queue (<see cref="MaxEntries"/>, <see cref="MaxBytes"/>). Default:
    /// <see cref="WhenFull.RefuseNew"/>: the caller gets the original failure, and
    /// <see cref="BackgroundSyncExceptionExtensions.GetNotQueuedReason"/> says why.
    /// </summary>
    public WhenFull WhenFull { get; set; } = WhenFull.RefuseNew;
}

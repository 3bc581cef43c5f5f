namespace BgSync.Http;

/// <summary>When and how often a queue tries again (<see cref="BackgroundSyncOptions.Retry"/>).</summary>
/// <remarks>Bound from the nested configuration section <c>Retry</c>. Not to be changed once the application runs.</remarks>
public sealed class BackgroundSyncRetryOptions
{
    /// <summary>
    /// How many attempts that may have reached the server are made before an entry becomes a dead letter. Default:
    /// <see cref="int.MaxValue"/>, no limit: retention alone ends an entry. Range: 1 and more.
    /// </summary>
    /// <remarks>An attempt that could not reach its server costs nothing.</remarks>
    public int MaxAttempts { get; set; } = int.MaxValue;

    /// <summary>
    /// How long a server that rejects everything is given before its rejections count. Default: 10 min. <see cref="TimeSpan.Zero"/>
    /// believes every rejection.
    /// </summary>
    /// <remarks>
    /// After 10 rejections in a row without a success the origin's circuit opens: the entries stay, and one of them is sent as a probe
    /// after each backoff. A success closes the circuit; once this time has passed since the first of the rejections, they count.
    /// </remarks>
    public TimeSpan RejectionGrace { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The first step of the backoff: a retry waits up to this long, the next up to twice as long. Default: 1 s.</summary>
    public TimeSpan MinBackoff { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait of the backoff. Default: 5 min.</summary>
    public TimeSpan MaxBackoff { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Fixed waits in the place of the backoff: the first failure waits the first, the second the second, and the last repeats.
    /// Default: none, which means the exponential backoff. Each is a positive time of 49 days at most.
    /// </summary>
    /// <remarks>
    /// <see cref="Timeout.InfiniteTimeSpan"/> may be the last: nothing is tried again then until the network is back, a live request
    /// succeeds, the application starts, something is replayed by hand or a request is queued, as in Workbox a push registers the
    /// sync anew. The waits of a server that cannot be reached, and of <see cref="BackgroundSyncOptions.OnSync"/>, begin from the first
    /// again after that.
    /// </remarks>
    public IList<TimeSpan> Delays { get; } = [];

    /// <summary>The longest wait that a server may ask for with <c>Retry-After</c>; a longer one is cut to it. Default: 1 day.</summary>
    public TimeSpan MaxRetryAfter { get; set; } = TimeSpan.FromDays(1);

    /// <summary>
    /// After how many attempts that failed, and may have reached the server, an entry no longer holds back its lane: the lane goes on,
    /// and the entry is tried beside it, in a lane of its own named <c>&lt;lane&gt;#&lt;id&gt;</c>, until it is delivered, has expired
    /// or was tried <see cref="MaxAttempts"/> times. Default: <see langword="null"/>, never. Range: 1 to less than
    /// <see cref="MaxAttempts"/>.
    /// </summary>
    /// <remarks>
    /// Order holds among those that stay. Live requests of the lane are not held back by it either (<see cref="Overtaking.Never"/>).
    /// Should it become a dead letter and be put back, it is put back into its own lane.
    /// </remarks>
    public int? SkipAfterAttempts { get; set; }
}

namespace BgSync.Http.Storage;

/// <summary>An entry to be added to a queue.</summary>
internal sealed record NewEntry
{
    /// <summary>The queue's name.</summary>
    public required string Queue { get; init; }

    /// <summary>The lane inside which order holds; the empty string is the lane of a queue that has only one.</summary>
    public string Lane { get; init; } = "";

    /// <summary>The end of the queue at which it is added, among those of its priority. Default: the back.</summary>
    public QueueEnd End { get; init; } = QueueEnd.Back;

    /// <summary>How urgent it is. Default: <see cref="EntryPriority.Normal"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none of those named.</exception>
    public EntryPriority Priority
    {
        get;
        init => field = Enum.IsDefined(value) ? value : throw new ArgumentOutOfRangeException(nameof(value), value, null);
    }

    /// <summary>How much the queue may hold with it. Default: <see langword="null"/>, no limit.</summary>
    public QueueLimits? Limits { get; init; }

    /// <summary>The request, its body apart.</summary>
    public required RequestSnapshot Request { get; init; }

    /// <summary>The request's body. Default: none.</summary>
    public EntryBody Body { get; init; } = EntryBody.Empty;

    /// <summary>When the request was made; the entry's age counts from here. Kept to the millisecond.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>When the entry expires; <see cref="DateTimeOffset.MaxValue"/> for never. It survives exactly at that time.</summary>
    public DateTimeOffset ExpiresAt { get; init; } = DateTimeOffset.MaxValue;

    /// <summary>
    /// How long the entry waits before its first replay, should it head its lane; <see cref="TimeSpan.MaxValue"/> until its backoff is
    /// cleared. Default: zero.
    /// </summary>
    public TimeSpan Delay { get; init; }

    /// <summary>
    /// Whether <see cref="Delay"/> was asked for, by the server (<c>Retry-After</c>) or the caller (not before), so that only time
    /// ends it.
    /// </summary>
    public bool RequestedDelay { get; init; }

    /// <summary>How many attempts that may have reached the server were made before the entry was added. Default: 0.</summary>
    public int Attempts { get; init; }

    /// <summary>The failure that brought the request here, without secrets; <see langword="null"/> if there was none.</summary>
    public string? LastError { get; init; }

    /// <summary>The status of the response that brought the request here; <see langword="null"/> if there was none.</summary>
    public int? LastStatusCode { get; init; }

    /// <summary>The caller's own notes, never sent. Workbox's <c>metadata</c>.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Entries of one queue with the same key may be made one; <see langword="null"/> for an entry on its own.</summary>
    public string? CoalesceKey { get; init; }

    /// <summary>The entry of the same queue that must be delivered before this one is sent; <see langword="null"/> for none.</summary>
    public long? Prerequisite { get; init; }

    /// <summary>The W3C <c>traceparent</c> of the live attempt, to be linked on replay.</summary>
    public string? TraceParent { get; init; }

    /// <summary>Whether its last attempt is the first of the <see cref="FailedAttempt"/>s that are kept.</summary>
    internal bool HasFailedAttempt => Attempts > 0 && LastError is not null;
}

namespace BgSync.Http;

/// <summary>An entry as it stands in a queue, without its body.</summary>
public sealed record QueuedEntry
{
    /// <summary>The entry's id: unique in the store, never used again.</summary>
    public required long Id { get; init; }

    /// <summary>
    /// Changes with every edit and with <see cref="Attempts"/>, so that a change which is based on an older reading is told from the
    /// others.
    /// </summary>
    internal long Revision { get; init; }

    /// <summary>The queue's name.</summary>
    public required string Queue { get; init; }

    /// <summary>The lane's name; the empty string is the lane of a queue that has only one.</summary>
    public required string Lane { get; init; }

    /// <summary>How urgent it is.</summary>
    public EntryPriority Priority { get; init; }

    /// <summary>The request, its body apart.</summary>
    public required RequestSnapshot Request { get; init; }

    /// <summary>The length of the body in bytes.</summary>
    public long BodyLength { get; init; }

    /// <summary>When the request was made.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>When the entry expires; <see cref="DateTimeOffset.MaxValue"/> for never.</summary>
    public DateTimeOffset ExpiresAt { get; init; } = DateTimeOffset.MaxValue;

    /// <summary>The caller's own notes; empty when there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>Entries of one queue with the same key may be made one; <see langword="null"/> for an entry on its own.</summary>
    public string? CoalesceKey { get; init; }

    /// <summary>The entry of the same queue that must be delivered before this one is sent; <see langword="null"/> for none.</summary>
    public long? Prerequisite { get; init; }

    /// <summary>The W3C <c>traceparent</c> of the live attempt.</summary>
    internal string? TraceParent { get; init; }

    /// <summary>Attempts that may have reached the server.</summary>
    public int Attempts { get; init; }

    /// <summary>The last failure, without secrets.</summary>
    public string? LastError { get; init; }

    /// <summary>
    /// When the entry may be sent next; <see langword="null"/> for one that waits behind another of its lane, or for its
    /// <see cref="Prerequisite"/>, and <see cref="DateTimeOffset.MaxValue"/> for one that waits for a trigger. While it is leased, the
    /// time at which the lease ends.
    /// </summary>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>Whether the entry is leased: being sent right now, or by an owner that has not been heard of since.</summary>
    public bool IsLeased { get; init; }
}

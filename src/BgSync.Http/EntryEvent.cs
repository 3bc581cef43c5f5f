namespace BgSync.Http;

/// <summary>Something that happened in the life of an entry. What its kind has nothing to say of is <see langword="null"/>.</summary>
public sealed record EntryEvent
{
    /// <summary>The kind of event.</summary>
    public required EntryEventKind Kind { get; init; }

    /// <summary>The queue's name.</summary>
    public required string Queue { get; init; }

    /// <summary>When it happened.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The entry's id.</summary>
    public long? EntryId { get; init; }

    /// <summary>The request, its body apart, without its secret headers.</summary>
    public RequestSnapshot? Request { get; init; }

    /// <summary>Which attempt it is that begins or has failed, from 1.</summary>
    public int? Attempt { get; init; }

    /// <summary>The status of the response.</summary>
    public int? StatusCode { get; init; }

    /// <summary>Why, in words, without secrets.</summary>
    public string? Reason { get; init; }

    /// <summary>
    /// When the entry may be sent next; a server that cannot be reached may make it later. <see cref="DateTimeOffset.MaxValue"/> when
    /// only a trigger brings it about.
    /// </summary>
    public DateTimeOffset? NextAttemptAt { get; init; }

    /// <summary>The dead letter that the entry became, if it did.</summary>
    public DeadLetter? DeadLetter { get; init; }
}

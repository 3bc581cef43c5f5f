namespace BgSync.Http;

/// <summary>An entry that was not delivered, kept to be looked at, sent again or deleted.</summary>
public sealed record DeadLetter
{
    /// <summary>The id that the entry had.</summary>
    public required long Id { get; init; }

    /// <summary>The queue's name.</summary>
    public required string Queue { get; init; }

    /// <summary>The entry; <see langword="null"/> when it cannot be read.</summary>
    public QueuedEntry? Entry { get; init; }

    /// <summary>Why it was not delivered.</summary>
    public required DeadLetterCause Cause { get; init; }

    /// <summary>The last error, without secrets.</summary>
    public string? Error { get; init; }

    /// <summary>The status of the last response, if there was one.</summary>
    public int? StatusCode { get; init; }

    /// <summary>The last response with the start of its body, if there was one and more than its status is kept.</summary>
    public StoredResponse? Response { get; init; }

    /// <summary>The failed attempts, the last 20 of them, oldest first; the live one and the one that it died of included.</summary>
    public IReadOnlyList<FailedAttempt> History { get; init; } = [];

    /// <summary>When it became a dead letter.</summary>
    public required DateTimeOffset DeadLetteredAt { get; init; }
}

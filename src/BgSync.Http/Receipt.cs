namespace BgSync.Http;

/// <summary>The state of an entry, ended or not, to be asked for by its id after it has left its queue too.</summary>
public sealed record Receipt
{
    /// <summary>The entry's id.</summary>
    public required long Id { get; init; }

    /// <summary>The queue's name.</summary>
    public required string Queue { get; init; }

    /// <summary>Whether it waits, was delivered or became a dead letter.</summary>
    public required ReceiptState State { get; init; }

    /// <summary>When it was delivered or became a dead letter; of one that is queued, when its request was made.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>
    /// The status of the last response; <see langword="null"/> if there was none or it is not kept, and while it is queued.
    /// </summary>
    public int? StatusCode { get; init; }

    /// <summary>
    /// The last response; <see langword="null"/> if there was none or no more than its status is kept, and while it is queued.
    /// </summary>
    public StoredResponse? Response { get; init; }

    /// <summary>Why it is dead; <see langword="null"/> if it is not.</summary>
    public DeadLetterCause? Cause { get; init; }

    /// <summary>The last error, without secrets; <see langword="null"/> if it is not dead.</summary>
    public string? Error { get; init; }
}

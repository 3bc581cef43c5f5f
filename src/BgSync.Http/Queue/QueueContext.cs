using BgSync.Http.Capture;
using BgSync.Http.Diagnostics;
using BgSync.Http.Events;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>The things that the parts of one queue share.</summary>
/// <param name="Name">The queue's name.</param>
/// <param name="Client">The name of the client that the queue belongs to.</param>
/// <param name="Options">The queue's options.</param>
/// <param name="Store">Where the entries are.</param>
/// <param name="Events">Where everything that happens is published.</param>
/// <param name="Time">The clock, and the timers.</param>
/// <param name="AttemptTimeout">How long an attempt may take: the client's time-out is known only once a client was made.</param>
internal sealed record QueueContext(
    string Name,
    string Client,
    BackgroundSyncOptions Options,
    IQueueStore Store,
    EntryEvents Events,
    SteadyTime Time,
    Func<TimeSpan> AttemptTimeout)
{
    /// <summary>When an entry expires whose age counts from a time.</summary>
    /// <param name="start">The time.</param>
    /// <param name="retention">The entry's own retention; <see langword="null"/> for the queue's.</param>
    public DateTimeOffset ExpiryFrom(DateTimeOffset start, TimeSpan? retention = null)
    {
        var time = retention ?? Options.MaxRetentionTime;
        return time == Timeout.InfiniteTimeSpan || time > DateTimeOffset.MaxValue - start ? DateTimeOffset.MaxValue : start + time;
    }

    /// <summary>
    /// The meaning of a failure, as <see cref="BackgroundSyncOptions.ClassifyFailure"/> says; where that throws, as the default says.
    /// </summary>
    public FailureVerdict ClassifyFailure(Exception failure)
    {
        try
        {
            return Options.ClassifyFailure(failure);
        }
        catch (Exception e)
        {
            Events.CallbackFailed(Name, nameof(Options.ClassifyFailure), "the default classifier decides", e);
            return FailureClassifier.Classify(failure);
        }
    }

    /// <summary>The idempotency key that a request of the queue carries; <see langword="null"/> when it carries none.</summary>
    public string? KeyOf(HttpRequestMessage request) => IdempotencyKey.Of(request, Options.IdempotencyKeyHeader);

    /// <summary>The body of an entry, for its request; <see langword="null"/> when that has no content.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="body">The body, where it was read with the entry.</param>
    public StoredContent? ContentOf(QueuedEntry entry, ReadOnlyMemory<byte>? body = null) =>
        entry.Request.ContentHeaders is null ? null
        : body is { } bytes ? new(bytes)
        : new(
            async token => await Store.OpenBodyAsync(Name, entry.Id, token).ConfigureAwait(false)
                ?? throw new InvalidDataException("The entry's body is gone."),
            entry.BodyLength);

    /// <summary>The reason for which a request was not written.</summary>
    public string ReasonOf(Exception failure) => failure switch
    {
        NotStorableException or QueueStoreException => failure.Message,
        OperationCanceledException => $"its body or the store made no progress for {Options.EnqueueTimeout} (EnqueueTimeout)",
        _ => $"its body could not be read: {FailureText.Of(failure)}",
    };

    /// <summary>Begins to write to the store: the token is cancelled when nothing has moved for too long, or by the caller.</summary>
    public Attempt BeginWrite(CancellationToken cancellationToken) => new(Options.EnqueueTimeout, Time, cancellationToken);

    /// <summary>A way into the store for the body of an entry; to be disposed of.</summary>
    public EntryBodyStream NewBody(Attempt write) => new(Store, Options, write);

    /// <summary>Makes sure that an entry of the queue can be waited for: it is pending, or was delivered.</summary>
    /// <exception cref="PrerequisiteException">It is not.</exception>
    public async ValueTask RequirePrerequisiteAsync(long? prerequisite, CancellationToken cancellationToken)
    {
        if (prerequisite is not { } id)
        {
            return;
        }

        var receipt = await Store.GetReceiptAsync(Name, id, cancellationToken).AsTask().WaitAsync(cancellationToken).ConfigureAwait(false)
            ?? throw PrerequisiteException.Unknown(Name, id);
        if (receipt.State == ReceiptState.DeadLettered)
        {
            throw PrerequisiteException.Dead(Name, id, receipt.Cause);
        }
    }
}

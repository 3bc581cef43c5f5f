using System.Diagnostics;
using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>A request that may be queued, as it was before it was sent.</summary>
internal readonly record struct WatchedRequest
{
    /// <summary>The caller's message. A redirect may have changed it since.</summary>
    public required HttpRequestMessage Message { get; init; }

    /// <summary>The request, its body apart.</summary>
    public required RequestCapture Captured { get; init; }

    /// <summary>The body, repeatable.</summary>
    public required RepeatableBody Body { get; init; }

    /// <summary>How urgent it is.</summary>
    public required EntryPriority Priority { get; init; }

    /// <summary>When the request was made.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>When it expires.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>The time before which it is not sent again.</summary>
    public required DateTimeOffset NotBefore { get; init; }

    /// <summary>The entry that must be delivered before it is sent.</summary>
    public required long? Prerequisite { get; init; }

    /// <summary>Whether it may be sent again although the server may have processed it: it is idempotent or keyed.</summary>
    public required bool IsRepeatable { get; init; }

    /// <summary>The caller's notes.</summary>
    public required IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>The trace of the live attempt.</summary>
    public required string? TraceParent { get; init; }

    /// <summary>The lane's name; <see langword="null"/> until somebody needs it.</summary>
    public string? Lane { get; init; }

    /// <summary>The coalescing key, which is asked for when the request is queued; <see langword="null"/> for none.</summary>
    public string? CoalesceKey { get; init; }

    /// <summary>Whether it may be queued although its form has a password or a token.</summary>
    public bool MayHoldFormSecrets { get; init; }

    /// <summary>Takes down a request as it is now, and its content as it is.</summary>
    public static WatchedRequest Of(HttpRequestMessage request, QueueContext context, DateTimeOffset timestamp)
    {
        var options = context.Options;
        var hasKey = IdempotencyKey.Ensure(request, options.IdempotencyKeyHeader, options.IdempotencyKeyFormat, context.Time);
        var expiry = context.ExpiryFrom(timestamp, request.GetBackgroundSyncRetention());
        var deadline = request.GetBackgroundSyncDeadline();
        return new()
        {
            Message = request,
            Captured = new(request, options.Capture.SecretHeaders),
            Body = new(request.Content),
            Priority = request.GetBackgroundSyncPriority(),
            Timestamp = timestamp,
            ExpiresAt = expiry < deadline ? expiry : deadline,
            NotBefore = request.GetBackgroundSyncNotBefore(),
            Prerequisite = request.GetBackgroundSyncPrerequisite(),
            IsRepeatable = hasKey || IdempotencyKey.IsIdempotent(request.Method),
            Metadata = request.GetBackgroundSyncMetadata(),
            TraceParent = Activity.Current?.Id,
        };
    }

    /// <summary>The request with its lane.</summary>
    /// <exception cref="CallbackException">The application's function threw.</exception>
    public WatchedRequest WithLane(BackgroundSyncOptions options)
    {
        if (Lane is not null)
        {
            return this;
        }

        try
        {
            return this with { Lane = Message.GetBackgroundSyncLane() ?? options.Lane?.Invoke(AsSent()) ?? "" };
        }
        catch (Exception e)
        {
            throw new CallbackException(nameof(BackgroundSyncOptions.LaneBy), e);
        }
    }

    /// <summary>The request with its coalescing key.</summary>
    /// <exception cref="CallbackException">The application's function threw.</exception>
    public WatchedRequest WithCoalesceKey(BackgroundSyncOptions options)
    {
        try
        {
            return options.GetCoalescing() is { } rule ? this with { CoalesceKey = rule.Key(AsSent()) } : this;
        }
        catch (Exception e)
        {
            throw new CallbackException(nameof(BackgroundSyncOptions.CoalesceBy), e);
        }
    }

    /// <summary>The request as it is written down: with its lane, and with the named options of its message among its notes.</summary>
    /// <exception cref="NotStorableException">A part of it must not or cannot be written down.</exception>
    /// <exception cref="CallbackException">The lane cannot be told.</exception>
    public WatchedRequest ToStorable(BackgroundSyncOptions options) => Captured.HasUserInfo
        ? throw new NotStorableException(RequestCapture.UserInfoReason)
        : WithLane(options) with { Metadata = RequestOptionsCodec.AddTo(Metadata, Message, options.Capture.Options) };

    /// <summary>Refuses a form that has a password or a token, unless it may be queued all the same.</summary>
    /// <exception cref="NotStorableException">It is such a form.</exception>
    public void RefuseFormSecrets(EntryBodyStream body)
    {
        if (!MayHoldFormSecrets && FormSecrets.AreIn(Captured.ToSnapshot().ContentHeaders, body.Start))
        {
            throw new NotStorableException(FormSecrets.Reason);
        }
    }

    /// <summary>The entry that it becomes, with its body.</summary>
    public NewEntry ToEntry(QueueContext context, QueueEnd end, EntryBody body, LiveFailure? failure)
    {
        var start = StartAfter(failure, context);
        return new()
        {
            Queue = context.Name,
            Lane = Lane ?? "",
            End = end,
            Priority = Priority,
            Limits = start.Limits,
            Request = Captured.ToSnapshot(),
            Body = body,
            Timestamp = Timestamp,
            ExpiresAt = ExpiresAt,
            Delay = start.Delay,
            RequestedDelay = start.RequestedDelay,
            Attempts = start.Attempts,
            LastError = start.LastError,
            LastStatusCode = start.LastStatusCode,
            Metadata = Metadata,
            CoalesceKey = CoalesceKey,
            Prerequisite = Prerequisite,
            TraceParent = TraceParent,
        };
    }

    /// <summary>How its entry begins after a failure, or without one.</summary>
    public WriteAheadCommit StartAfter(LiveFailure? failure, QueueContext context)
    {
        var options = context.Options;
        var attempts = failure is { Counts: true } ? 1 : 0;
        var wait = failure?.RetryAfter ?? (attempts > 0 ? options.WaitAfter(attempts) : TimeSpan.Zero);
        var notBefore = NotBefore - context.Time.GetUtcNow();
        // A wait without end is over when the time comes that the caller asked for.
        wait = wait == TimeSpan.MaxValue && notBefore > TimeSpan.Zero ? TimeSpan.Zero : wait;
        return new(
            wait > notBefore ? wait : notBefore,
            RequestedDelay: failure?.RetryAfter is not null || notBefore > TimeSpan.Zero,
            attempts,
            failure is null ? null : FailureText.Of(failure.Exception, Message),
            failure?.StatusCode,
            options.Limits is { MaxEntries: null, MaxBytes: null }
                ? null
                : new(options.Limits.MaxEntries, options.Limits.MaxBytes, options.Limits.WhenFull));
    }

    /// <summary>The message as the caller made it: itself, or a copy where a redirect has changed it.</summary>
    private HttpRequestMessage AsSent()
    {
        if (Message.Method == Captured.Method && Message.RequestUri == Captured.Uri)
        {
            return Message;
        }

        var copy = new HttpRequestMessage(Captured.Method, Captured.Uri)
        {
            Version = Message.Version,
            VersionPolicy = Message.VersionPolicy,
            Content = Message.Content,
        };
        foreach (var (name, values) in Message.Headers.NonValidated)
        {
            copy.Headers.TryAddWithoutValidation(name, values);
        }

        foreach (var (name, value) in (IDictionary<string, object?>)Message.Options)
        {
            ((IDictionary<string, object?>)copy.Options)[name] = value;
        }

        return copy;
    }
}

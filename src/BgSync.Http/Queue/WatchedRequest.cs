using System.Diagnostics;
using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>A request that may be queued, as it was before it was sent.</summary>
/// <remarks>The settings in the options of the message are read when it is queued: most requests are answered.</remarks>
internal readonly record struct WatchedRequest
{
    /// <summary>The caller's message. A redirect may have changed its method, its address and its content since.</summary>
    public required HttpRequestMessage Message { get; init; }

    /// <summary>The request, its body apart.</summary>
    public required RequestCapture Captured { get; init; }

    /// <summary>The body, repeatable.</summary>
    public required RepeatableBody Body { get; init; }

    /// <summary>When the request was made.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>Whether it may be sent again although the server may have processed it: it is idempotent or keyed.</summary>
    public required bool IsRepeatable { get; init; }

    /// <summary>The entry that must be delivered before it is sent.</summary>
    public long? Prerequisite => Message.GetBackgroundSyncPrerequisite();

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
        return new()
        {
            Message = request,
            Captured = new(request, options.Capture.SecretHeaders),
            Body = new(request.Content),
            Timestamp = timestamp,
            IsRepeatable = hasKey || IdempotencyKey.IsIdempotent(request.Method),
        };
    }

    /// <summary>When it expires.</summary>
    public DateTimeOffset ExpiresAt(QueueContext context)
    {
        var expiry = context.ExpiryFrom(Timestamp, Message.GetBackgroundSyncRetention());
        var deadline = Message.GetBackgroundSyncDeadline();
        return expiry < deadline ? expiry : deadline;
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

    /// <summary>The request as it is written down: with its lane and its coalescing key.</summary>
    /// <exception cref="NotStorableException">A part of it must not be written down.</exception>
    /// <exception cref="CallbackException">The application's function for the lane or for the key threw.</exception>
    public WatchedRequest ToStorable(BackgroundSyncOptions options)
    {
        if (Captured.HasUserInfo)
        {
            throw new NotStorableException(RequestCapture.UserInfoReason);
        }

        var laned = WithLane(options);
        try
        {
            return options.GetCoalescing() is { } rule ? laned with { CoalesceKey = rule.Key(AsSent()) } : laned;
        }
        catch (Exception e)
        {
            throw new CallbackException(nameof(BackgroundSyncOptions.CoalesceBy), e);
        }
    }

    /// <summary>The entry that it becomes.</summary>
    /// <param name="context">The queue.</param>
    /// <param name="end">Where the entry goes.</param>
    /// <param name="body">Takes the body into the store.</param>
    /// <param name="failure">The failure that brought it here; <see langword="null"/> when it was never sent.</param>
    /// <exception cref="NotStorableException">
    /// A named option cannot be written down, or the body is a form that has a password or a token and may not be queued for it.
    /// </exception>
    public async Task<NewEntry> ToEntryAsync(QueueContext context, QueueEnd end, EntryBodyStream body, LiveFailure? failure)
    {
        var stored = await body.CompleteAsync().ConfigureAwait(false);
        var request = Captured.ToSnapshot();
        if (!MayHoldFormSecrets && FormSecrets.AreIn(request.ContentHeaders, body.Start))
        {
            throw new NotStorableException(FormSecrets.Reason);
        }

        var metadata = Message.GetBackgroundSyncMetadata();
        var start = StartAfter(failure, context);
        return new()
        {
            Queue = context.Name,
            Lane = Lane ?? "",
            End = end,
            Priority = Message.GetBackgroundSyncPriority(),
            Limits = start.Limits,
            Request = request,
            Body = stored,
            Timestamp = Timestamp,
            ExpiresAt = ExpiresAt(context),
            Delay = start.Delay,
            RequestedDelay = start.RequestedDelay,
            Attempts = start.Attempts,
            LastError = start.LastError,
            LastStatusCode = start.LastStatusCode,
            Metadata = RequestOptionsCodec.AddTo(metadata, Message, context.Options.Capture.Options),
            CoalesceKey = CoalesceKey,
            Prerequisite = Prerequisite,
            TraceParent = Activity.Current?.Id,
        };
    }

    /// <summary>The request as the application has changed it, with the settings of the one that it was.</summary>
    public WatchedRequest Recaptured(HttpRequestMessage changed, BackgroundSyncOptions options)
    {
        CopyOptions(Message, changed);
        return this with
        {
            Message = changed,
            Captured = new(changed, options.Capture.SecretHeaders),
            Body = new(changed.Content),
        };
    }

    /// <summary>How its entry begins after a failure, or without one.</summary>
    public WriteAheadCommit StartAfter(LiveFailure? failure, QueueContext context)
    {
        var options = context.Options;
        var attempts = failure is { Counts: true } ? 1 : 0;
        var wait = failure?.RetryAfter ?? (attempts > 0 ? options.WaitAfter(attempts) : TimeSpan.Zero);
        var notBefore = Message.GetBackgroundSyncNotBefore() - context.Time.GetUtcNow();
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

        CopyOptions(Message, copy);
        return copy;
    }

    private static void CopyOptions(HttpRequestMessage from, HttpRequestMessage to)
    {
        foreach (var (name, value) in (IDictionary<string, object?>)from.Options)
        {
            ((IDictionary<string, object?>)to.Options).TryAdd(name, value);
        }
    }
}

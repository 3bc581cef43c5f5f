using System.Diagnostics;
using System.Net;
using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Makes one attempt at an entry and says what is to become of it.</summary>
internal sealed class ReplaySender(
    BackgroundSyncOptions options,
    IQueueStore store,
    ReplayPipeline pipeline,
    OriginCircuits gates,
    PrerequisiteCheck prerequisites,
    ReplayHooks hooks,
    ResponseKeeper keeper,
    EntryWaiters waiters,
    Func<TimeSpan> attemptTimeout,
    TimeProvider timeProvider)
{
    /// <summary>Above this a server is asked before the body is sent, so that its early "no" is read and not lost.</summary>
    private const long ExpectContinueLength = 1024 * 1024;

    private static readonly ActivitySource _activities = new("BgSync.Http");

    /// <param name="entry">A leased entry.</param>
    /// <param name="body">Its body, where it was read with it.</param>
    /// <param name="cancellationToken">Breaks the attempt off.</param>
    /// <exception cref="OperationCanceledException">It was broken off; the server may have seen it.</exception>
    public async Task<ReplayOutcome> SendAsync(QueuedEntry entry, ReadOnlyMemory<byte>? body, CancellationToken cancellationToken)
    {
        if (entry.ExpiresAt < timeProvider.GetUtcNow())
        {
            return new ReplayOutcome.DeadLettered(new(DeadLetterCause.Expired, entry.LastError, IsKept: !options.DeadLetters.DiscardExpired));
        }

        Receipt? prerequisite;
        try
        {
            (prerequisite, var death) = await prerequisites.LookUpAsync(entry, cancellationToken).ConfigureAwait(false);
            if (death is not null)
            {
                return new ReplayOutcome.DeadLettered(death);
            }
        }
        catch (QueueStoreException e)
        {
            var wait = Backoff.Wait(1, options.Retry.MinBackoff, options.Retry.MaxBackoff, options.Randomizer());
            return new ReplayOutcome.Again(new Settlement.Retry(wait, CountsAsAttempt: false, FailureText.Of(e)), null);
        }

        HttpRequestMessage request;
        try
        {
            request = Restore(entry, body);
        }
        catch (Exception e) when (e is FormatException or ArgumentException or NotSupportedException)
        {
            return new ReplayOutcome.DeadLettered(new(DeadLetterCause.Unreadable, e.Message));
        }

        using (request)
        {
            return await SendAsync(entry, prerequisite, request, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<ReplayOutcome> SendAsync(
        QueuedEntry entry, Receipt? prerequisite, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var activity = StartActivity(entry);
        var probe = gates.ProbeOf(entry.Request.Origin);
        var isProbe = probe.CanBeCanceled;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Attempt? attempt = null;
        HttpResponseMessage? response = null;
        var sent = SentRequest.Of(request, options.IdempotencyKeyHeader);
        try
        {
            // Opening the way configures a client, so that the time-out is known after it.
            var way = pipeline.Open(request);
            if (await ChangeAsync(entry, prerequisite, request, cancellationToken).ConfigureAwait(false) is { } notSent)
            {
                return notSent;
            }

            sent = SentRequest.Of(request, options.IdempotencyKeyHeader);
            using var change = (sent.IsRepeatable ? probe : CancellationToken.None).UnsafeRegister(
                static either => ((CancellationTokenSource)either!).Cancel(), either);
            attempt = new Attempt(attemptTimeout(), timeProvider, either.Token);
            response = await way.SendAsync(request, attempt.Token).ConfigureAwait(false);
            gates.Answered(entry.Request.Origin);
            activity?.SetTag("http.response.status_code", (int)response.StatusCode);
            var outcome = await OutcomeOfAsync(entry, sent, response, cancellationToken).ConfigureAwait(false);
            if (IsAnswer(outcome) && waiters.TryOffer(entry.Id, response))
            {
                response = null;
            }

            return outcome;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            activity?.SetStatus(ActivityStatusCode.Error, e.GetType().Name);
            if (either.IsCancellationRequested)
            {
                gates.Silent(entry.Request.Origin);
                return AtOnce(entry, "The network changed while the origin was silent.", counts: true);
            }

            var failure = attempt?.Explain(e) ?? e;
            var verdict = attempt?.Judge(failure, options.ClassifyFailure, wasTaken: request.Method != sent.Method)
                ?? options.ClassifyFailure(failure);
            return OutcomeOf(entry, sent, failure, verdict, attempt is { IsTimedOut: true }, isProbe);
        }
        finally
        {
            response?.Dispose();
            attempt?.Dispose();
        }
    }

    /// <summary>Lets the application change the request, or drop it.</summary>
    /// <returns>What is to become of the entry; <see langword="null"/> when it is to be sent.</returns>
    private async Task<ReplayOutcome?> ChangeAsync(
        QueuedEntry entry, Receipt? prerequisite, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await hooks.ReplayingAsync(entry, prerequisite, request, cancellationToken).ConfigureAwait(false) is { } reason
                ? new ReplayOutcome.DeadLettered(new(DeadLetterCause.Dropped, reason))
                : null;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            var error = $"{nameof(options.OnReplaying)} failed. {FailureText.Of(e)}";
            return options.ClassifyFailure(e) == FailureVerdict.NotSent
                ? Unreachable(entry, error, counts: false)
                : Again(entry, error, asked: null, status: null);
        }
    }

    private HttpRequestMessage Restore(QueuedEntry entry, ReadOnlyMemory<byte>? body)
    {
        HttpContent? content = null;
        if (entry.Request.ContentHeaders is not null)
        {
            content = body is { } bytes
                ? new ReadOnlyMemoryContent(bytes)
                : new StoredContent(
                    async token => await store.OpenBodyAsync(entry.Queue, entry.Id, token).ConfigureAwait(false)
                        ?? throw new InvalidDataException("The entry's body is gone."),
                    entry.BodyLength);
        }

        var request = RequestRestorer.Restore(entry.Request, content);
        if (entry.BodyLength > ExpectContinueLength && request.Headers.ExpectContinue is null)
        {
            request.Headers.ExpectContinue = true;
        }

        return request;
    }

    /// <summary>Keeps and shows a response, and says what it means. Never throws.</summary>
    private async Task<ReplayOutcome> OutcomeOfAsync(
        QueuedEntry entry, SentRequest sent, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var (verdict, failure) = Classify(sent, response);
        var kept = IsKept(entry, verdict) ? await keeper.KeepAsync(response, cancellationToken).ConfigureAwait(false) : null;
        if (options.OnReplayed is not null)
        {
            if (verdict is ResponseVerdict.Delivered or ResponseVerdict.Reject && waiters.IsAwaited(entry.Id))
            {
                await keeper.BufferAsync(response, cancellationToken).ConfigureAwait(false);
            }

            await hooks.ReplayedAsync(entry, response, cancellationToken).ConfigureAwait(false);
        }

        return OutcomeOf(entry, verdict, failure, response, kept);
    }

    /// <returns>What a response means, and what the application threw when it was asked.</returns>
    private (ResponseVerdict Verdict, string? Failure) Classify(SentRequest sent, HttpResponseMessage response)
    {
        try
        {
            return (options.ClassifyResponse?.Invoke(response) ?? ResponseClassifier.Classify(response.StatusCode, sent.HasKey), null);
        }
        catch (Exception e)
        {
            return (ResponseVerdict.Retry, $"{nameof(options.ClassifyResponse)} failed. {FailureText.Of(e)}");
        }
    }

    private ReplayOutcome OutcomeOf(
        QueuedEntry entry, ResponseVerdict verdict, string? failure, HttpResponseMessage response, StoredResponse? kept)
    {
        var status = (int)response.StatusCode;
        switch (verdict)
        {
            case ResponseVerdict.Delivered:
                return new ReplayOutcome.Delivered(new(status, kept));
            case ResponseVerdict.Pause:
                return new ReplayOutcome.Pause($"The server answered {status} and wants credentials.", status);
            case ResponseVerdict.Reject:
                return new ReplayOutcome.DeadLettered(new(DeadLetterCause.Rejected, $"The server answered {status}.", status, kept));
            case var _ when failure is not null:
                return Again(entry, failure, asked: null, status, kept);
            default:
                var asked = RetryAfter.Read(response.Headers.RetryAfter, timeProvider.GetUtcNow(), options.Retry.MaxRetryAfter);
                return Again(entry, $"The server answered {status}.", asked, status, kept);
        }
    }

    /// <summary>Whether a response is written down: it is the entry's last.</summary>
    private bool IsKept(QueuedEntry entry, ResponseVerdict verdict) => verdict switch
    {
        ResponseVerdict.Delivered => options.Receipts.Retention != TimeSpan.Zero,
        ResponseVerdict.Reject => true,
        ResponseVerdict.Retry => IsExhausted(entry),
        _ => false,
    };

    /// <summary>Whether a caller that waits is to have the response, as it would have had it live.</summary>
    private static bool IsAnswer(ReplayOutcome outcome) =>
        outcome is ReplayOutcome.Delivered or ReplayOutcome.DeadLettered { Death.Cause: DeadLetterCause.Rejected };

    /// <summary>Whether this attempt was the last that is allowed.</summary>
    private bool IsExhausted(QueuedEntry entry) => entry.Attempts + 1 >= options.Retry.MaxAttempts;

    private ReplayOutcome OutcomeOf(
        QueuedEntry entry, SentRequest sent, Exception failure, FailureVerdict verdict, bool timedOut, bool isProbe)
    {
        var error = FailureText.Of(failure);
        if (verdict == FailureVerdict.NotSent)
        {
            return Unreachable(entry, error, counts: false);
        }

        if (timedOut && !isProbe)
        {
            gates.Silent(entry.Request.Origin);
        }

        if (FindInner<InvalidDataException>(failure))
        {
            return new ReplayOutcome.DeadLettered(new(DeadLetterCause.Unreadable, error));
        }

        if (verdict == FailureVerdict.DoNotQueue && IsDefect(failure))
        {
            return new ReplayOutcome.DeadLettered(new(DeadLetterCause.Unreadable, error));
        }

        if (failure is HttpRequestException { HttpRequestError: HttpRequestError.UserAuthenticationError } or HttpRequestException
            { HttpRequestError: HttpRequestError.ProxyTunnelError, StatusCode: HttpStatusCode.ProxyAuthenticationRequired })
        {
            return new ReplayOutcome.Pause(error, null);
        }

        if (verdict == FailureVerdict.MaybeProcessed && !sent.IsRepeatable)
        {
            return new ReplayOutcome.DeadLettered(new(DeadLetterCause.MaybeProcessed, error));
        }

        if (timedOut && isProbe && !IsExhausted(entry))
        {
            // Silence is the network's until the origin has spoken: the origin waits, and a network event ends the wait.
            return Unreachable(entry, error, counts: true);
        }

        return Again(entry, error, asked: null, status: null);
    }

    /// <summary>The origin waits for its backoff.</summary>
    private ReplayOutcome.Again Unreachable(QueuedEntry entry, string error, bool counts)
    {
        gates.Unreachable(entry.Request.Origin, options);
        return AtOnce(entry, error, counts);
    }

    /// <summary>Due as soon as the origin is open: it is the origin that waits, and not the lane.</summary>
    private ReplayOutcome.Again AtOnce(QueuedEntry entry, string error, bool counts) =>
        new(new Settlement.Retry(TimeSpan.Zero, counts, error, LeavesLane: counts && IsToBeSkipped(entry)), null);

    private ReplayOutcome Again(QueuedEntry entry, string error, TimeSpan? asked, int? status, StoredResponse? kept = null)
    {
        if (IsExhausted(entry))
        {
            return new ReplayOutcome.DeadLettered(new(DeadLetterCause.Exhausted, error, status, kept));
        }

        var delay = asked ?? options.WaitAfter(entry.Attempts + 1);
        var retry = new Settlement.Retry(delay, CountsAsAttempt: true, error, asked is not null, LeavesLane: IsToBeSkipped(entry), status);
        return new ReplayOutcome.Again(retry, status);
    }

    /// <summary>Whether the lane of an entry goes on without it after this attempt.</summary>
    private bool IsToBeSkipped(QueuedEntry entry) =>
        entry.Attempts + 1 >= options.Retry.SkipAfterAttempts && !OwnLane.Is(entry.Lane, entry.Id);

    /// <summary>A request that this machine cannot even write to the wire will not be written another time.</summary>
    private static bool IsDefect(Exception failure) =>
        failure is NotSupportedException or HttpRequestException { HttpRequestError: HttpRequestError.Unknown, StatusCode: null };

    private static bool FindInner<TException>(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            if (failure is TException)
            {
                return true;
            }
        }

        return false;
    }

    private static Activity? StartActivity(QueuedEntry entry)
    {
        // A new root with a link: hours may lie between the live attempt and this one.
        ActivityLink[] links = ActivityContext.TryParse(entry.TraceParent, null, isRemote: true, out var live) ? [new(live)] : [];
        return _activities.StartActivity(ActivityKind.Producer, default, links: links, name: $"bgsync replay {entry.Queue}");
    }
}

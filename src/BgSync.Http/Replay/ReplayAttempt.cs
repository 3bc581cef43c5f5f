using System.Diagnostics;
using BgSync.Http.Capture;
using BgSync.Http.Connectivity;
using BgSync.Http.Outcomes;
using BgSync.Http.Events;
using BgSync.Http.Queue;
using BgSync.Http.Responses;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>Makes one attempt at an entry: restores the request, calls the hooks, sends it, and has its outcome decided.</summary>
internal sealed class ReplayAttempt(
    QueueContext queue,
    ReplayPipeline pipeline,
    OriginCircuits circuits,
    ReplayHooks hooks,
    EntryWaiters waiters,
    ILogger logger)
{
    /// <summary>Above this length a server is asked before the body is sent, so that its early "no" is read and not lost.</summary>
    private const long ExpectContinueLength = 1024 * 1024;

    /// <summary>How much of a response's body the application can read when it classifies the response.</summary>
    private const int ClassifiedLength = 64 * 1024;

    /// <summary>The conflicts that are taken for an earlier attempt that is still running.</summary>
    private const int MaxConflicts = 5;

    private static readonly ActivitySource _activities = new("BgSync.Http");

    private readonly BackgroundSyncOptions _options = queue.Options;
    private int _hasWarnedOfPortal;

    /// <summary>Makes the attempt.</summary>
    /// <param name="entry">A leased entry.</param>
    /// <param name="body">Its body, where it was read with it.</param>
    /// <param name="cancellationToken">Breaks the attempt off.</param>
    /// <returns>What becomes of the entry, which is still to be written.</returns>
    public async Task<Settlement> SendAsync(QueuedEntry entry, ReadOnlyMemory<byte>? body, CancellationToken cancellationToken)
    {
        if (entry.ExpiresAt < queue.Time.GetUtcNow())
        {
            return new Settlement.DeadLettered(DeadLetterCause.Expired, entry.LastError, IsKept: !_options.DeadLetters.DiscardExpired);
        }

        ReplayRequest request;
        StoredContent? content;
        Receipt? prerequisite = null;
        try
        {
            (request, content) = Restore(entry, body);
            if (entry.Prerequisite is { } id)
            {
                prerequisite = await queue.Store.GetReceiptAsync(entry.Queue, id, cancellationToken).ConfigureAwait(false);
                if (prerequisite is not { State: ReceiptState.Delivered })
                {
                    return new Settlement.DeadLettered(
                        DeadLetterCause.PrerequisiteFailed, $"Entry {id}, which was to be delivered first, {FateOf(prerequisite)}.");
                }
            }

            if (entry.Attempts > 0 && !IsRepeatable(request) && await HasUnknownOutcomeAsync(entry, cancellationToken).ConfigureAwait(false))
            {
                // The process ended during an earlier attempt: as after a time-out.
                return new Settlement.DeadLettered(
                    DeadLetterCause.MaybeProcessed, "An earlier attempt was broken off, and the server may have processed it.");
            }
        }
        catch (QueueStoreException e)
        {
            var wait = Backoff.Wait(1, _options.Retry.MinBackoff, _options.Retry.MaxBackoff, _options.Randomizer());
            return new Settlement.Retry(wait, CountsAsAttempt: false, FailureText.Of(e));
        }
        catch (Exception e) when (e is FormatException or ArgumentException or NotSupportedException)
        {
            return new Settlement.DeadLettered(DeadLetterCause.Unreadable, FailureText.Clean(e.Message));
        }

        using var activity = StartActivity(entry);
        var begunAt = queue.Time.GetTimestamp();
        var settlement = await SendAsync(entry, prerequisite, request, content, activity, cancellationToken).ConfigureAwait(false);
        var requested = settlement is Settlement.Retry { RequestedDelay: true, Delay: var delay } ? delay : default(TimeSpan?);
        return circuits.Report(entry.Request.Origin, settlement.Origin, requested, _options, begunAt)
            ? settlement
            : OutcomeRules.Doubt((Settlement.DeadLettered)settlement);
    }

    private async Task<Settlement> SendAsync(
        QueuedEntry entry,
        Receipt? prerequisite,
        ReplayRequest request,
        StoredContent? content,
        Activity? activity,
        CancellationToken cancellationToken)
    {
        var origin = entry.Request.Origin;
        var sent = SentRequestOf(request, addedExpect: AddExpect(entry, request));
        var probe = circuits.ProbeOf(origin);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Attempt? attempt = null;
        ReplayPipeline.Target? target = null;
        Task<HttpResponseMessage>? sending = null;
        HttpResponseMessage? response = null;
        try
        {
            // The target configures a client, so that the time-out is known after it.
            target = pipeline.Open(request, isFresh: circuits.HasTimedOut(origin) && MayShareConnection(entry.Request));
            if (await ChangeAsync(entry, prerequisite, request, cancellationToken).ConfigureAwait(false) is { } unsent)
            {
                return unsent;
            }

            sent = SentRequestOf(request, sent.AddedExpect && request.Headers.ExpectContinue is true);
            using var change = (sent.IsRepeatable ? probe : CancellationToken.None).UnsafeRegister(
                static either => ((CancellationTokenSource)either!).Cancel(), either);
            attempt = new Attempt(queue.AttemptTimeout(), queue.Time, either.Token);
            content?.BeginAttempt(attempt);
            sending = target.SendAsync(request, attempt.Token);
            // A handler that ignores its token is left behind.
            response = await sending.WaitAsync(attempt.Token).ConfigureAwait(false);
            activity?.SetTag("http.response.status_code", (int)response.StatusCode);
            var settlement = await DecideAsync(entry, sent, request, response, cancellationToken).ConfigureAwait(false);
            if (settlement is Settlement.Delivered or Settlement.DeadLettered { Cause: DeadLetterCause.Rejected }
                && waiters.TryOffer(entry.Id, response))
            {
                response = null;
            }

            return settlement;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            activity?.SetStatus(ActivityStatusCode.Error, e.GetType().Name);
            if (either.IsCancellationRequested)
            {
                return new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: true, "The network changed while the origin was silent.")
                {
                    Origin = OriginReport.Interrupted,
                };
            }

            var failure = attempt?.ToCallerException(e) ?? e;
            var wasTaken = request.Method != sent.Method;
            var wasAskedFor = content is null || !ReferenceEquals(request.Content, content) || content.WasAskedFor;
            return OutcomeRules.Decide(
                entry,
                sent,
                new AttemptFailure(
                    failure,
                    FailureText.Of(failure, request),
                    attempt?.Classify(failure, Classify, wasTaken, wasAskedFor) ?? Classify(failure),
                    attempt is { IsTimedOut: true },
                    wasAskedFor,
                    circuits.IsAlone(origin)),
                _options);
        }
        catch (OperationCanceledException e)
        {
            var wasBegun = sending is not null && (content is null || content.WasAskedFor);
            throw new BrokenOffException(wasBegun ? sent : null, e);
        }
        finally
        {
            response?.Dispose();
            attempt?.Dispose();
            EndLater(sending, request, target);
        }
    }

    /// <summary>Disposes of what an attempt used, once a handler that ignores its token has let go of it.</summary>
    private static void EndLater(Task<HttpResponseMessage>? sending, ReplayRequest request, ReplayPipeline.Target? target)
    {
        if (sending is null or { IsCompleted: true })
        {
            request.Dispose();
            target?.Dispose();
            return;
        }

        _ = sending.ContinueWith(
            late =>
            {
                if (late.IsCompletedSuccessfully)
                {
                    late.Result.Dispose();
                }

                // An exception that nobody waits for any more is observed.
                _ = late.Exception;
                request.Dispose();
                target?.Dispose();
            },
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }

    private (ReplayRequest Request, StoredContent? Content) Restore(QueuedEntry entry, ReadOnlyMemory<byte>? body)
    {
        var content = entry.Request.ContentHeaders is null ? null
            : body is { } bytes ? new StoredContent(bytes)
            : new StoredContent(
                async token => await queue.Store.OpenBodyAsync(entry.Queue, entry.Id, token).ConfigureAwait(false)
                    ?? throw new InvalidDataException("The entry's body is gone."),
                entry.BodyLength);
        var request = new ReplayRequest(entry.Request.Method, entry.Request.Uri);
        RequestRestorer.Restore(entry.Request, content, entry.Metadata, request);
        return (request, content);
    }

    /// <returns>Whether <c>Expect: 100-continue</c> was added.</returns>
    private bool AddExpect(QueuedEntry entry, ReplayRequest request)
    {
        if (entry.BodyLength <= ExpectContinueLength || request.Headers.ExpectContinue is not null
            || !circuits.TakesExpect(entry.Request.Origin))
        {
            return false;
        }

        request.Headers.ExpectContinue = true;
        return true;
    }

    /// <summary>Lets the application change the request, or drop it.</summary>
    /// <returns>What becomes of the entry; <see langword="null"/> when it is to be sent.</returns>
    private async Task<Settlement?> ChangeAsync(
        QueuedEntry entry, Receipt? prerequisite, ReplayRequest request, CancellationToken cancellationToken)
    {
        if (_options.OnReplaying is null)
        {
            return null;
        }

        var before = (request.Method, request.RequestUri, request.Content, Key: KeyOf(request));
        try
        {
            if (await hooks.ReplayingAsync(entry, prerequisite, request, cancellationToken).ConfigureAwait(false) is { } reason)
            {
                return new Settlement.DeadLettered(DeadLetterCause.Dropped, FailureText.Clean(reason));
            }

            if (entry.Attempts > 0 && before.Key is { } key && KeyOf(request) == key
                && (before.Method, before.RequestUri, before.Content) != (request.Method, request.RequestUri, request.Content))
            {
                await RenewKeyAsync(entry, request, key, cancellationToken).ConfigureAwait(false);
            }

            return null;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return OutcomeRules.DecideUnsent(
                entry, $"{nameof(_options.OnReplaying)} failed. {FailureText.Of(e, request)}", Classify(e), _options);
        }
    }

    /// <summary>
    /// Gives a request that the application has changed a key of its own, because the server may know the entry's key with another
    /// request. The key follows from the change, so that the same change has the same key at each attempt.
    /// </summary>
    private async Task RenewKeyAsync(QueuedEntry entry, ReplayRequest request, string key, CancellationToken cancellationToken)
    {
        var body = request.Content is { } changed ? await changed.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false) : [];
        var renewed = IdempotencyKey.Derive(key, $"{request.Method} {request.RequestUri}", body, _options.IdempotencyKeyFormat);
        request.Headers.Remove(_options.IdempotencyKeyHeader!);
        request.Headers.TryAddWithoutValidation(_options.IdempotencyKeyHeader!, renewed);
        ReplayMessages.KeyRenewed(logger, queue.Name, entry.Id);
    }

    /// <summary>Reads and shows a response, and decides. Never throws: the answer is there, and must be written down.</summary>
    private async Task<Settlement> DecideAsync(
        QueuedEntry entry, SentRequest sent, ReplayRequest request, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var origin = entry.Request.Origin;
        using var reader = new ResponseReader(response, circuits.BodyPatience(origin), queue.Time, cancellationToken);
        var answer = Answer.Of(response, sent, request.Wire, queue.Time.GetUtcNow(), _options.Retry.MaxRetryAfter);
        if (_options.ClassifyResponse is not null)
        {
            answer = await AskAsync(answer, response, reader, cancellationToken).ConfigureAwait(false);
        }

        if (answer.StatusCode == 409)
        {
            answer = answer with { EarlierMayRun = await EarlierMayRunAsync(entry, sent, cancellationToken).ConfigureAwait(false) };
        }

        if (answer.StatusCode == 417 && sent.AddedExpect)
        {
            circuits.RefuseExpect(origin);
        }

        var settlement = OutcomeRules.Decide(entry, sent, answer, _options);
        WarnOfPortal(entry, settlement, answer);
        settlement = await KeepAsync(settlement, reader).ConfigureAwait(false);
        if (_options.OnReplayed is not null)
        {
            if (settlement is Settlement.Delivered or Settlement.DeadLettered && waiters.IsAwaited(entry.Id))
            {
                await reader.BufferAsync().ConfigureAwait(false);
            }

            await hooks.ReplayedAsync(entry, response, cancellationToken).ConfigureAwait(false);
        }

        if (reader.IsTooSlow || reader.HasEnded)
        {
            circuits.BodyRead(origin, reader.HasEnded);
        }

        return settlement;
    }

    /// <summary>Asks the application for the meaning of a response, of which it can read the start of the body.</summary>
    private async Task<Answer> AskAsync(Answer answer, HttpResponseMessage response, ResponseReader reader, CancellationToken cancellationToken)
    {
        await reader.ReadAsync(ClassifiedLength).ConfigureAwait(false);
        reader.ShowStart();
        try
        {
            return answer with { Verdict = await hooks.ClassifyAsync(response, cancellationToken).ConfigureAwait(false) };
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return answer with { VerdictFailure = $"{nameof(_options.ClassifyResponse)} failed. {FailureText.Of(e)}" };
        }
        finally
        {
            reader.GiveBack();
        }
    }

    /// <summary>Keeps the response of an entry that has ended.</summary>
    private async Task<Settlement> KeepAsync(Settlement settlement, ResponseReader reader)
    {
        var length = _options.Receipts.ResponseBodyLength;
        var isLast = settlement is Settlement.DeadLettered { StatusCode: not null }
            || (settlement is Settlement.Delivered && _options.Receipts.Retention != TimeSpan.Zero);
        if (length == 0 || !isLast)
        {
            return settlement;
        }

        await reader.ReadAsync(length).ConfigureAwait(false);
        var kept = reader.Keep(length, headers => HeaderCapture.Copy(headers, _options.Capture.SecretHeaders));
        return settlement switch
        {
            Settlement.Delivered delivered => delivered with { Response = kept },
            Settlement.DeadLettered deadLettered => deadLettered with { Response = kept },
            _ => settlement,
        };
    }

    /// <summary>Says once that a captive portal may have answered in the server's place.</summary>
    private void WarnOfPortal(QueuedEntry entry, Settlement settlement, Answer answer)
    {
        if (settlement is Settlement.Delivered && answer is { MediaType: "text/html", Verdict: null } && _options.ExpectContentType is null
            && _options.DeliveredStatuses.Count == 0 && IsJson(entry.Request) && Interlocked.Exchange(ref _hasWarnedOfPortal, 1) == 0)
        {
            ReplayMessages.MayBePortal(logger, queue.Name, entry.Id, entry.Request.Origin, answer.StatusCode);
        }
    }

    /// <summary>
    /// Whether an earlier attempt may still be running, so that a conflict is with that: five times, or as long as twice the time of an
    /// attempt after the last one whose outcome is unknown.
    /// </summary>
    private async Task<bool> EarlierMayRunAsync(QueuedEntry entry, SentRequest sent, CancellationToken cancellationToken)
    {
        if (!sent.HasKey && entry.Attempts == 0)
        {
            return false;
        }

        IReadOnlyList<FailedAttempt> history;
        try
        {
            history = await queue.Store.GetHistoryAsync(entry.Queue, entry.Id, cancellationToken).ConfigureAwait(false);
        }
        catch (QueueStoreException)
        {
            return true;
        }

        var conflicts = history.Count(static attempt => attempt.StatusCode == 409);
        var unknown = history.LastOrDefault(static attempt => attempt.StatusCode is null)?.At;
        var timeout = queue.AttemptTimeout();
        return conflicts + 1 < MaxConflicts
            || (unknown is { } at && timeout != Timeout.InfiniteTimeSpan && queue.Time.GetUtcNow() - at < 2 * timeout);
    }

    /// <summary>
    /// Whether an earlier attempt ended without an outcome: it was counted, and is none of the failed attempts, because its process died.
    /// </summary>
    private async Task<bool> HasUnknownOutcomeAsync(QueuedEntry entry, CancellationToken cancellationToken) =>
        (await queue.Store.GetHistoryAsync(entry.Queue, entry.Id, cancellationToken).ConfigureAwait(false)).Count
            < Math.Min(entry.Attempts, FailedAttempt.Kept);

    private FailureVerdict Classify(Exception failure)
    {
        try
        {
            return _options.ClassifyFailure(failure);
        }
        catch (Exception e)
        {
            ReplayMessages.ClassifyFailureFailed(logger, e, queue.Name, FailureText.Clean(e.Message));
            return FailureClassifier.Classify(failure);
        }
    }

    private SentRequest SentRequestOf(ReplayRequest request, bool addedExpect) =>
        new(request.Method, request.RequestUri!, KeyOf(request) is not null, IsRepeatable(request), addedExpect);

    private bool IsRepeatable(ReplayRequest request) => KeyOf(request) is not null || IdempotencyKey.IsIdempotent(request.Method);

    private string? KeyOf(ReplayRequest request) => _options.IdempotencyKeyHeader is { } header
        && request.Headers.NonValidated.TryGetValues(header, out var values) ? values.ToString() : null;

    /// <summary>Whether a request may take the connection of another one that still waits: that of HTTP/1.1 is closed with its request.</summary>
    private static bool MayShareConnection(RequestSnapshot request) =>
        request.Version.Major >= 2 || request.VersionPolicy == HttpVersionPolicy.RequestVersionOrHigher;

    private static bool IsJson(RequestSnapshot request) => request.ContentHeaders?.Any(static header =>
        header.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)
        && header.Value.Contains("json", StringComparison.OrdinalIgnoreCase)) == true;

    private static string FateOf(Receipt? receipt) => receipt switch
    {
        null => "was removed, or its receipt is gone",
        { State: ReceiptState.Queued } => "failed, and was put back since",
        // Of a chain each names the one before it, and not all of them.
        { Cause: DeadLetterCause.PrerequisiteFailed } or { Error: null } => $"became a dead letter ({receipt.Cause})",
        _ => $"became a dead letter ({receipt.Cause}): {receipt.Error.TrimEnd('.')}",
    };

    private static Activity? StartActivity(QueuedEntry entry)
    {
        // A new root with a link: hours may lie between the live attempt and this one.
        ActivityLink[] links = ActivityContext.TryParse(entry.TraceParent, null, isRemote: true, out var live) ? [new(live)] : [];
        return _activities.StartActivity(ActivityKind.Producer, default, links: links, name: $"bgsync replay {entry.Queue}");
    }

    /// <summary>An attempt was broken off.</summary>
    /// <param name="sent">The request, if the server may have seen it.</param>
    /// <param name="inner">The cancellation.</param>
    internal sealed class BrokenOffException(SentRequest? sent, Exception inner) : OperationCanceledException(inner.Message, inner)
    {
        public SentRequest? Sent => sent;
    }
}

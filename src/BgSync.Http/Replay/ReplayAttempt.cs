using System.Diagnostics;
using BgSync.Http.Capture;
using BgSync.Http.Connectivity;
using BgSync.Http.Diagnostics;
using BgSync.Http.Events;
using BgSync.Http.Outcomes;
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

    private readonly BackgroundSyncOptions _options = queue.Options;
    private int _hasWarnedOfPortal;

    /// <summary>Makes the attempt.</summary>
    /// <param name="entry">A leased entry.</param>
    /// <param name="body">Its body, where it was read with it.</param>
    /// <param name="cancellationToken">Breaks the attempt off.</param>
    /// <returns>The settlement of the entry, which is still to be written.</returns>
    public async Task<Settlement> SendAsync(QueuedEntry entry, ReadOnlyMemory<byte>? body, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return OutcomeRules.DecideBrokenOff(sent: null);
        }

        queue.Events.Sending(entry);
        if (entry.ExpiresAt < queue.Time.GetUtcNow())
        {
            return new Settlement.DeadLettered(DeadLetterCause.Expired, entry.LastError, IsKept: !_options.DeadLetters.DiscardExpired);
        }

        ReplayRequest request;
        StoredContent? content;
        Receipt? prerequisite = null;
        try
        {
            content = queue.ContentOf(entry, body);
            request = new ReplayRequest(entry.Request.Method, entry.Request.Uri);
            RequestRestorer.Restore(entry.Request, content, entry.Metadata, request);
            if (entry.Prerequisite is { } id)
            {
                prerequisite = await queue.Store.GetReceiptAsync(entry.Queue, id, cancellationToken).ConfigureAwait(false);
            }

            var history = entry.Attempts > 0 && !IsRepeatable(request)
                ? await queue.Store.GetHistoryAsync(entry.Queue, entry.Id, cancellationToken).ConfigureAwait(false)
                : null;
            if (OutcomeRules.DecideBefore(entry, prerequisite, history) is { } unsent)
            {
                return unsent;
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
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            return OutcomeRules.DecideBrokenOff(sent: null);
        }

        using var activity = ReplayActivities.Start(entry);
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
        var addsExpect = entry.BodyLength > ExpectContinueLength && request.Headers.ExpectContinue is null
            && circuits.Of(origin).TakesExpect;
        if (addsExpect)
        {
            request.Headers.ExpectContinue = true;
        }

        var sent = SentRequestOf(request, addsExpect);
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
            if (await hooks.ReplayingAsync(entry, prerequisite, request, cancellationToken).ConfigureAwait(false) is { } unsent)
            {
                return unsent;
            }

            sent = SentRequestOf(request, addsExpect && request.Headers.ExpectContinue is true);
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
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            var wasBegun = sending is not null && (content is null || content.WasAskedFor);
            return OutcomeRules.DecideBrokenOff(wasBegun ? sent : null);
        }
        catch (Exception e)
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
                    attempt?.Classify(failure, queue.ClassifyFailure, wasTaken, wasAskedFor) ?? queue.ClassifyFailure(failure),
                    attempt is { IsTimedOut: true },
                    wasAskedFor,
                    circuits.Of(origin).IsAlone),
                _options);
        }
        finally
        {
            response?.Dispose();
            attempt?.Dispose();
            _ = EndAsync(sending, request, target);
        }
    }

    /// <summary>Disposes of what an attempt used, once a handler that ignores its token has let go of it.</summary>
    private static async Task EndAsync(Task<HttpResponseMessage>? sending, ReplayRequest request, ReplayPipeline.Target? target)
    {
        if (sending is { IsCompleted: false })
        {
            await ((Task)sending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (sending.IsCompletedSuccessfully)
            {
                sending.Result.Dispose();
            }
        }

        // An exception that nobody waits for any more is observed.
        _ = sending?.Exception;
        request.Dispose();
        target?.Dispose();
    }

    /// <summary>Reads and shows a response, and decides. Never throws: the answer is there, and must be written down.</summary>
    private async Task<Settlement> DecideAsync(
        QueuedEntry entry, SentRequest sent, ReplayRequest request, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var origin = entry.Request.Origin;
        using var reader = new ResponseReader(response, circuits.Of(origin).BodyPatience, queue.Time, cancellationToken);
        var answer = Answer.Of(response, sent, request.Wire, queue.Time.GetUtcNow(), _options.Retry.MaxRetryAfter);
        if (_options.ClassifyResponse is not null)
        {
            await reader.ReadAsync(ClassifiedLength).ConfigureAwait(false);
            reader.ShowStart();
            answer = await hooks.ClassifyAsync(answer, response, cancellationToken).ConfigureAwait(false);
            reader.GiveBack();
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
        if (OutcomeRules.MayBePortal(entry, settlement, answer, _options) && Interlocked.Exchange(ref _hasWarnedOfPortal, 1) == 0)
        {
            ReplayMessages.MayBePortal(logger, queue.Name, entry.Id, origin, answer.StatusCode);
        }

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

    /// <summary>Whether an earlier attempt may still be running, so that a conflict is with that.</summary>
    private async Task<bool> EarlierMayRunAsync(QueuedEntry entry, SentRequest sent, CancellationToken cancellationToken)
    {
        if (!sent.HasKey && entry.Attempts == 0)
        {
            return false;
        }

        try
        {
            var history = await queue.Store.GetHistoryAsync(entry.Queue, entry.Id, cancellationToken).ConfigureAwait(false);
            return OutcomeRules.EarlierMayRun(history, queue.Time.GetUtcNow(), queue.AttemptTimeout());
        }
        catch (QueueStoreException)
        {
            return true;
        }
    }

    private SentRequest SentRequestOf(ReplayRequest request, bool addedExpect) =>
        new(request.Method, request.RequestUri!, queue.KeyOf(request) is not null, IsRepeatable(request), addedExpect);

    private bool IsRepeatable(ReplayRequest request) => queue.KeyOf(request) is not null || IdempotencyKey.IsIdempotent(request.Method);

    /// <summary>Whether a request may take the connection of another one that still waits: that of HTTP/1.1 is closed with its request.</summary>
    private static bool MayShareConnection(RequestSnapshot request) =>
        request.Version.Major >= 2 || request.VersionPolicy == HttpVersionPolicy.RequestVersionOrHigher;
}

using System.Net;
using BgSync.Http.Connectivity;

namespace BgSync.Http.Outcomes;

/// <summary>
/// Decides what becomes of an entry after an attempt: a response or a failure, the entry and the options go in, and one
/// <see cref="Settlement"/> comes out. Pure: no I/O and no clock.
/// </summary>
internal static class OutcomeRules
{
    /// <summary>The conflicts that are taken for an earlier attempt that is still running.</summary>
    private const int MaxConflicts = 5;

    /// <summary>Decides before an attempt whether it is made at all.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="prerequisite">The receipt of the entry that is to be delivered before it.</param>
    /// <param name="history">The failed attempts at it; <see langword="null"/> when one with an unknown outcome does no harm.</param>
    /// <returns>The settlement of the entry; <see langword="null"/> when it is to be sent.</returns>
    public static Settlement? DecideBefore(QueuedEntry entry, Receipt? prerequisite, IReadOnlyList<FailedAttempt>? history)
    {
        if (entry.Prerequisite is { } id && prerequisite is not { State: ReceiptState.Delivered })
        {
            return new Settlement.DeadLettered(
                DeadLetterCause.PrerequisiteFailed, $"Entry {id}, which was to be delivered first, {FateOf(prerequisite)}.");
        }

        // An attempt that was counted, and is none of the failed ones, ended with its process: as after a time-out.
        return history?.Count < Math.Min(entry.Attempts, FailedAttempt.Kept)
            ? new Settlement.DeadLettered(
                DeadLetterCause.MaybeProcessed, "An earlier attempt was broken off, and the server may have processed it.")
            : null;
    }

    /// <summary>Decides after a response.</summary>
    public static Settlement Decide(QueuedEntry entry, SentRequest sent, Answer answer, BackgroundSyncOptions options)
    {
        if (answer.VerdictFailure is { } failure)
        {
            return Again(entry, failure, options, statusCode: answer.StatusCode) with { Origin = OriginReport.Answered };
        }

        return answer.Verdict switch
        {
            ResponseVerdict.Delivered => Delivered(answer),
            ResponseVerdict.Retry => Again(entry, answer, options),
            ResponseVerdict.Hold => Held(entry, $"The server answered {answer.StatusCode} and wants credentials.", answer, options),
            // The application knows its server: its word is believed at once.
            ResponseVerdict.Reject => Rejected(answer) with { Origin = OriginReport.Answered },
            _ => DecideByStatus(entry, sent, answer, options),
        };
    }

    /// <summary>Decides after a failure that brought no response.</summary>
    public static Settlement Decide(QueuedEntry entry, SentRequest sent, AttemptFailure failure, BackgroundSyncOptions options)
    {
        var error = failure.Error;
        if (failure is { IsTimedOut: true, WasAskedFor: false, IsAlone: false })
        {
            // The request waited for a connection behind others: fewer of them at a time, and this one is tried again.
            return new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: false, error) { Origin = OriginReport.Congested };
        }

        if (failure.Verdict == FailureVerdict.NotSent || failure is { IsTimedOut: true, WasAskedFor: false })
        {
            // The origin waits, and not the lane: no attempt was made.
            return new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: false, error) { Origin = OriginReport.Unreachable };
        }

        if (IsUnreadable(failure))
        {
            return new Settlement.DeadLettered(DeadLetterCause.Unreadable, error);
        }

        if (failure.Exception is HttpRequestException { HttpRequestError: HttpRequestError.UserAuthenticationError }
            or HttpRequestException
            {
                HttpRequestError: HttpRequestError.ProxyTunnelError, StatusCode: HttpStatusCode.ProxyAuthenticationRequired
            })
        {
            return Held(entry, error, answer: null, options);
        }

        var origin = failure.IsTimedOut ? OriginReport.Silent : OriginReport.None;
        if (failure.Verdict == FailureVerdict.MaybeProcessed && !sent.IsRepeatable)
        {
            return new Settlement.DeadLettered(DeadLetterCause.MaybeProcessed, error) { Origin = origin };
        }

        if (failure is { IsTimedOut: true, IsAlone: true } && !IsExhausted(entry, options))
        {
            // A lone request that meets silence: the origin waits, and a network event ends the wait.
            return new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: true, error, LeavesLane: IsToBeSkipped(entry, options))
            {
                Origin = OriginReport.Silent,
            };
        }

        return Again(entry, error, options) with { Origin = origin };
    }

    /// <summary>Decides after a hook of the application, or a look at the store before the attempt, has failed.</summary>
    public static Settlement DecideUnsent(QueuedEntry entry, string error, FailureVerdict verdict, BackgroundSyncOptions options) =>
        verdict == FailureVerdict.NotSent
            ? new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: false, error) { Origin = OriginReport.Unreachable }
            : Again(entry, error, options);

    /// <summary>Decides after an attempt was broken off because the application stops.</summary>
    /// <param name="sent">The request as it was sent; <see langword="null"/> when it was not.</param>
    public static Settlement DecideBrokenOff(SentRequest? sent) => sent is { IsRepeatable: false }
        // As after a time-out: the server may have processed it.
        ? new Settlement.DeadLettered(DeadLetterCause.MaybeProcessed, "The application stopped while the request was being sent.")
        : new Settlement.Released(WasSent: sent is not null);

    /// <summary>The settlement of an entry whose origin rejects everything: the entry stays, and the origin is held.</summary>
    public static Settlement Doubt(Settlement.DeadLettered rejected) => new Settlement.Held(
        $"{rejected.Error} The server has rejected everything of late, and is given time (RejectionGrace).",
        CountsAsAttempt: true,
        rejected.StatusCode);

    /// <summary>
    /// Whether an earlier attempt may still be running when the server speaks of a conflict: at the first five conflicts, or as long as
    /// twice the time of an attempt after the last one whose outcome is unknown.
    /// </summary>
    public static bool EarlierMayRun(IReadOnlyList<FailedAttempt> history, DateTimeOffset now, TimeSpan attemptTimeout)
    {
        var conflicts = history.Count(static attempt => attempt.StatusCode == 409);
        var unknown = history.LastOrDefault(static attempt => attempt.StatusCode is null)?.At;
        return conflicts + 1 < MaxConflicts || (attemptTimeout != Timeout.InfiniteTimeSpan && now - unknown < 2 * attemptTimeout);
    }

    /// <summary>Whether a captive portal may have answered in the server's place: a page of HTML to a request of JSON.</summary>
    public static bool MayBePortal(QueuedEntry entry, Settlement settlement, Answer answer, BackgroundSyncOptions options) =>
        settlement is Settlement.Delivered && answer is { MediaType: "text/html", Verdict: null } && options.ExpectContentType is null
        && options.DeliveredStatuses.Count == 0
        && entry.Request.ContentHeaders?.Any(static header => header.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)
            && header.Value.Contains("json", StringComparison.OrdinalIgnoreCase)) == true;

    /// <summary>Whether the attempt at an entry is the last that is allowed.</summary>
    public static bool IsExhausted(QueuedEntry entry, BackgroundSyncOptions options) => entry.Attempts + 1 >= options.Retry.MaxAttempts;

    private static Settlement DecideByStatus(QueuedEntry entry, SentRequest sent, Answer answer, BackgroundSyncOptions options)
    {
        var status = answer.StatusCode;
        if (options.DeliveredStatuses.Contains((HttpStatusCode)status))
        {
            return Delivered(answer);
        }

        if (status == 303 && options.AcceptRedirects)
        {
            // RFC 9110, 15.4.4: the request was processed, and its result is elsewhere.
            return Delivered(answer);
        }

        if (answer.RedirectedTo is { } target && (status >= 300 || !options.AcceptRedirects) && status < 400)
        {
            return Held(entry, $"The server answered {status} and sent the request to {target} (AcceptRedirects).", answer, options);
        }

        if (answer.WantsCredentials)
        {
            var via = answer.RedirectedTo is { } place ? $"{place}, to which the request was redirected," : "The server";
            return Held(entry, $"{via} answered {status} and wants credentials.", answer, options);
        }

        if (status is >= 200 and < 300)
        {
            return options.DeliveredStatuses.Count > 0
                ? Again(entry, $"The server answered {status}, which is none of {nameof(options.DeliveredStatuses)}.", options, status)
                    with
                { Origin = OriginReport.Answered }
                : options.ExpectContentType is { } type && answer.HasBody && !IsMediaType(answer.MediaType, type)
                    ? Again(
                        entry, $"The server answered {status} with '{answer.MediaType}' in place of '{type}' (ExpectContentType).", options, status)
                        with
                    { Origin = OriginReport.Answered }
                    : Delivered(answer);
        }

        if (status == 417 && sent.AddedExpect)
        {
            return new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: false) { Origin = OriginReport.Answered };
        }

        if (answer.IsStored && status >= 400)
        {
            var settled = Rejected(answer);
            return settled with
            {
                Error = $"The server answered {status}, and repeats that answer for the request's idempotency key.",
                Origin = OriginReport.Answered,
            };
        }

        if (status == 409)
        {
            return answer.EarlierMayRun ? Again(entry, answer, options) : Rejected(answer);
        }

        return IsTransient(status) || answer.RetryAfter is not null ? Again(entry, answer, options) : Rejected(answer);
    }

    /// <summary>Whether a status says that the same request may be answered otherwise later.</summary>
    private static bool IsTransient(int status) => status is 408 or 421 or 423 or 425 or 429 || (status >= 500 && status is not (501 or 505));

    private static Settlement.Delivered Delivered(Answer answer) => new(answer.StatusCode) { Origin = OriginReport.Succeeded };

    private static Settlement.DeadLettered Rejected(Answer answer) =>
        new(DeadLetterCause.Rejected, $"The server answered {answer.StatusCode}.", answer.StatusCode) { Origin = OriginReport.Rejected };

    private static Settlement Held(QueuedEntry entry, string error, Answer? answer, BackgroundSyncOptions options) =>
        IsExhausted(entry, options)
            ? new Settlement.DeadLettered(DeadLetterCause.Exhausted, error, answer?.StatusCode) { Origin = OriginReport.Held }
            : new Settlement.Held(error, CountsAsAttempt: true, answer?.StatusCode) { Origin = OriginReport.Held };

    private static Settlement Again(QueuedEntry entry, Answer answer, BackgroundSyncOptions options) =>
        Again(entry, $"The server answered {answer.StatusCode}.", options, answer.StatusCode, answer.RetryAfter) with
        {
            Origin = OriginReport.Answered,
        };

    private static Settlement Again(
        QueuedEntry entry, string error, BackgroundSyncOptions options, int? statusCode = null, TimeSpan? requested = null) =>
        IsExhausted(entry, options)
            ? new Settlement.DeadLettered(DeadLetterCause.Exhausted, error, statusCode)
            : new Settlement.Retry(
                requested ?? options.WaitAfter(entry.Attempts + 1),
                CountsAsAttempt: true,
                error,
                RequestedDelay: requested is not null,
                LeavesLane: IsToBeSkipped(entry, options),
                statusCode);

    /// <summary>Whether the lane of an entry goes on without it after this attempt.</summary>
    private static bool IsToBeSkipped(QueuedEntry entry, BackgroundSyncOptions options) =>
        entry.Attempts + 1 >= options.Retry.SkipAfterAttempts && !entry.Lane.EndsWith($"#{entry.Id}", StringComparison.Ordinal);

    /// <summary>Whether this machine cannot write the request to a connection, now or later, or its stored bytes are damaged.</summary>
    private static bool IsUnreadable(AttemptFailure failure)
    {
        for (var cause = failure.Exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is InvalidDataException)
            {
                return true;
            }
        }

        return failure.Verdict == FailureVerdict.DoNotQueue
            && failure.Exception is not HttpRequestException { HttpRequestError: not HttpRequestError.Unknown };
    }

    private static string FateOf(Receipt? receipt) => receipt switch
    {
        null => "was removed, or its receipt is gone",
        { State: ReceiptState.Queued } => "failed, and was put back since",
        // Of a chain each names the one before it, and not all of them.
        { Cause: DeadLetterCause.PrerequisiteFailed } or { Error: null } => $"became a dead letter ({receipt.Cause})",
        _ => $"became a dead letter ({receipt.Cause}): {receipt.Error.TrimEnd('.')}",
    };

    private static bool IsMediaType(string? actual, string expected) =>
        string.Equals(actual, expected.Split(';')[0].Trim(), StringComparison.OrdinalIgnoreCase);
}

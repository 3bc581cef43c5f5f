using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using BgSync.Http.Capture;
using Microsoft.Extensions.Options;

namespace BgSync.Http;

/// <summary>Validates the options of a queue when the application starts; each message says what to write instead.</summary>
internal sealed class BackgroundSyncOptionsValidator : IValidateOptions<BackgroundSyncOptions>
{
    private const string Options = "options.";

    private const int MaxInlineBodyLength = 1024 * 1024;

    private const int MaxResponseBodyLength = 1024 * 1024;

    /// <summary>The longest time that a timer takes.</summary>
    private static readonly TimeSpan _longest = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    public ValidateOptionsResult Validate(string? name, BackgroundSyncOptions options)
    {
        var failures = new List<string>();

        void Require(bool isValid, object? value, string instead, [CallerArgumentExpression(nameof(value))] string option = "")
        {
            if (!isValid)
            {
                failures.Add($"Queue '{name}': {PathOf(option)} is {value ?? "null"}; {instead}.");
            }
        }

        void RequirePositive(TimeSpan value, [CallerArgumentExpression(nameof(value))] string option = "") => Require(
            value > TimeSpan.Zero && value <= _longest,
            value,
            "set a positive time of 49 days at most, such as TimeSpan.FromSeconds(30)",
            option);

        void RequireZeroOrPositive(TimeSpan value, [CallerArgumentExpression(nameof(value))] string option = "") => Require(
            value >= TimeSpan.Zero && value <= _longest, value, "set TimeSpan.Zero or a positive time of 49 days at most", option);

        Require(
            options.MaxRetentionTime > TimeSpan.Zero || options.MaxRetentionTime == Timeout.InfiniteTimeSpan,
            options.MaxRetentionTime,
            "set a positive time, or Timeout.InfiniteTimeSpan for ever");
        if (options.AttemptTimeout is { } attempt && attempt != Timeout.InfiniteTimeSpan)
        {
            RequirePositive(attempt, nameof(options.AttemptTimeout));
        }

        RequirePositive(options.Retry.MinBackoff);
        RequirePositive(options.Retry.MaxBackoff);
        Require(
            options.Retry.MinBackoff <= options.Retry.MaxBackoff || options.Retry.MaxBackoff <= TimeSpan.Zero,
            options.Retry.MinBackoff,
            $"set it to Retry.MaxBackoff ({options.Retry.MaxBackoff}) at most");
        for (var i = 0; i < options.Retry.Delays.Count; i++)
        {
            var delay = options.Retry.Delays[i];
            Require(
                (delay > TimeSpan.Zero && delay <= _longest) || (delay == Timeout.InfiniteTimeSpan && i == options.Retry.Delays.Count - 1),
                delay,
                "set a positive time of 49 days at most, or Timeout.InfiniteTimeSpan as the last one only",
                $"Retry.Delays[{i}]");
        }

        RequirePositive(options.Retry.MaxRetryAfter);
        RequirePositive(options.Replay.Interval);
        RequirePositive(options.Replay.LeaseDuration);
        RequirePositive(options.EnqueueTimeout);
        RequireZeroOrPositive(options.Retry.RejectionGrace);
        RequireZeroOrPositive(options.Replay.TriggerJitter);
        RequireZeroOrPositive(options.Replay.ShutdownGrace);
        Require(options.Retry.MaxAttempts >= 1, options.Retry.MaxAttempts, "set 1 or more, or int.MaxValue for no limit");
        Require(
            options.Retry.SkipAfterAttempts is null or >= 1,
            options.Retry.SkipAfterAttempts,
            "set 1 or more, or null for never");
        Require(
            options.Retry.SkipAfterAttempts is not { } skip || skip < options.Retry.MaxAttempts || options.Retry.MaxAttempts < 1,
            options.Retry.SkipAfterAttempts,
            $"set it below Retry.MaxAttempts ({options.Retry.MaxAttempts}), after which the entry is a dead letter");
        Require(options.Replay.MaxConcurrentLanes >= 1, options.Replay.MaxConcurrentLanes, "set 1 or more");
        Require(
            options.Capture.InlineBodyLength is >= 0 and <= MaxInlineBodyLength,
            options.Capture.InlineBodyLength,
            $"set a number of bytes from 0 to {MaxInlineBodyLength}");
        Require(
            options.Limits.MaxBodyLength is null or >= 0,
            options.Limits.MaxBodyLength,
            "set a number of bytes, or null for no limit");
        Require(
            options.Limits.MaxEntries is null or >= 1,
            options.Limits.MaxEntries,
            "set a number of entries of 1 or more, or null for no limit");
        Require(
            options.Limits.MaxBytes is null or >= 0, options.Limits.MaxBytes, "set a number of bytes, or null for no limit");
        Require(
            options.DeadLetters.MaxCount is null or >= 0,
            options.DeadLetters.MaxCount,
            "set a number of dead letters, or null for no limit");
        Require(
            options.DeadLetters.Retention > TimeSpan.Zero || options.DeadLetters.Retention == Timeout.InfiniteTimeSpan,
            options.DeadLetters.Retention,
            "set a positive time, or Timeout.InfiniteTimeSpan for ever");
        Require(
            Enum.IsDefined(options.Limits.WhenFull),
            options.Limits.WhenFull,
            "set WhenFull.RefuseNew, WhenFull.DropOldest or WhenFull.DropFirstToExpire");
        Require(
            options.IdempotencyKeyHeader is null || IsToken(options.IdempotencyKeyHeader),
            $"'{options.IdempotencyKeyHeader}'",
            "set the name of a header, or null to mint no key",
            nameof(options.IdempotencyKeyHeader));
        Require(
            options.IdempotencyKeyHeader is null || HeaderCapture.IsKept(options.IdempotencyKeyHeader, options.Capture.SecretHeaders),
            $"'{options.IdempotencyKeyHeader}'",
            "set the name of a header that is stored, so that replays carry the same key: "
            + "neither a secret nor one of a connection or a trace",
            nameof(options.IdempotencyKeyHeader));
        Require(
            Enum.IsDefined(options.IdempotencyKeyFormat),
            options.IdempotencyKeyFormat,
            "set IdempotencyKeyFormat.Bare or IdempotencyKeyFormat.QuotedString");
        Require(
            Enum.IsDefined(options.WhenQueued),
            options.WhenQueued,
            "set WhenQueued.Throw, WhenQueued.ReturnAccepted or WhenQueued.Wait");
        if (options.WaitTimeout != Timeout.InfiniteTimeSpan)
        {
            RequirePositive(options.WaitTimeout);
        }

        Require(
            options.Receipts.Retention >= TimeSpan.Zero || options.Receipts.Retention == Timeout.InfiniteTimeSpan,
            options.Receipts.Retention,
            "set TimeSpan.Zero, a positive time, or Timeout.InfiniteTimeSpan for ever");
        Require(
            options.WhenQueued != WhenQueued.Wait
                || options.Receipts.Retention == Timeout.InfiniteTimeSpan
                || options.Receipts.Retention >= 2 * options.Replay.Interval,
            options.Receipts.Retention,
            $"set it to twice Replay.Interval ({options.Replay.Interval}) at least, "
            + "so that a caller who waits sees what another process has sent");
        Require(
            options.Receipts.ResponseBodyLength is >= 0 and <= MaxResponseBodyLength,
            options.Receipts.ResponseBodyLength,
            $"set a number of bytes from 0 to {MaxResponseBodyLength}");
        Require(
            Enum.IsDefined(options.Overtaking), options.Overtaking,
            "set Overtaking.Allowed or Overtaking.Never");
        foreach (var header in options.Capture.SecretHeaders)
        {
            Require(IsToken(header), $"'{header}'", "set names of headers", "Capture.SecretHeaders");
        }

        Require(
            options.ExpectContentType is null || MediaTypeHeaderValue.TryParse(options.ExpectContentType, out _),
            $"'{options.ExpectContentType}'",
            "set a media type, such as application/json, or null for any",
            nameof(options.ExpectContentType));
        foreach (var option in options.Capture.Options)
        {
            Require(option.Length > 0, $"'{option}'", "set names of HttpRequestMessage.Options", "Capture.Options");
        }

        foreach (var status in options.DeliveredStatuses)
        {
            Require(
                (int)status is >= 200 and < 600, (int)status, "set statuses from 200 to 599", nameof(options.DeliveredStatuses));
        }

        foreach (var status in options.QueuedStatuses)
        {
            Require(
                status >= HttpStatusCode.BadRequest, (int)status, "set statuses of 400 or more", nameof(options.QueuedStatuses));
        }

        Require(options.ClassifyFailure is not null, options.ClassifyFailure, "set FailureClassifier.Classify, the default");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    /// <summary>The path of an option in its configuration section, of the expression that reads it.</summary>
    private static string PathOf(string expression) =>
        expression.StartsWith(Options, StringComparison.Ordinal) ? expression[Options.Length..] : expression;

    /// <summary>A header's name is a token (RFC 9110, 5.6.2).</summary>
    private static bool IsToken(string name) =>
        name.Length > 0 && name.All(static c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));
}

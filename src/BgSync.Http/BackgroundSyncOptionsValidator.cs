using System.Net;
using BgSync.Http.Requests;
using Microsoft.Extensions.Options;

namespace BgSync.Http;

/// <summary>Validates the options of a queue when the application starts; each message says what to write instead.</summary>
internal sealed class BackgroundSyncOptionsValidator : IValidateOptions<BackgroundSyncOptions>
{
    private const int MaxInlineBodyLength = 1024 * 1024;

    private const int MaxReplyBodyLength = 1024 * 1024;

    /// <summary>The longest time that a timer takes.</summary>
    private static readonly TimeSpan _longest = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    public ValidateOptionsResult Validate(string? name, BackgroundSyncOptions options)
    {
        var failures = new List<string>();

        void Require(bool isValid, string option, object? value, string instead)
        {
            if (!isValid)
            {
                failures.Add($"Queue '{name}': {option} is {value ?? "null"}; {instead}.");
            }
        }

        void RequirePositive(TimeSpan value, string option) => Require(
            value > TimeSpan.Zero && value <= _longest, option, value,
            "set a positive time of 49 days at most, such as TimeSpan.FromSeconds(30)");

        void RequireZeroOrPositive(TimeSpan value, string option) => Require(
            value >= TimeSpan.Zero && value <= _longest, option, value, "set TimeSpan.Zero or a positive time of 49 days at most");

        Require(
            options.MaxRetentionTime > TimeSpan.Zero || options.MaxRetentionTime == Timeout.InfiniteTimeSpan,
            nameof(options.MaxRetentionTime),
            options.MaxRetentionTime,
            "set a positive time, or Timeout.InfiniteTimeSpan for ever");
        if (options.AttemptTimeout is { } attempt && attempt != Timeout.InfiniteTimeSpan)
        {
            RequirePositive(attempt, nameof(options.AttemptTimeout));
        }

        RequirePositive(options.MinBackoff, nameof(options.MinBackoff));
        RequirePositive(options.MaxBackoff, nameof(options.MaxBackoff));
        Require(
            options.MinBackoff <= options.MaxBackoff || options.MaxBackoff <= TimeSpan.Zero,
            nameof(options.MinBackoff),
            options.MinBackoff,
            $"set it to MaxBackoff ({options.MaxBackoff}) at most");
        for (var i = 0; i < options.RetryDelays.Count; i++)
        {
            var delay = options.RetryDelays[i];
            Require(
                (delay > TimeSpan.Zero && delay <= _longest) || (delay == Timeout.InfiniteTimeSpan && i == options.RetryDelays.Count - 1),
                $"{nameof(options.RetryDelays)}[{i}]",
                delay,
                "set a positive time of 49 days at most, or Timeout.InfiniteTimeSpan as the last one only");
        }

        RequirePositive(options.MaxRetryAfter, nameof(options.MaxRetryAfter));
        RequirePositive(options.ReplayInterval, nameof(options.ReplayInterval));
        RequirePositive(options.LeaseDuration, nameof(options.LeaseDuration));
        RequirePositive(options.EnqueueTimeout, nameof(options.EnqueueTimeout));
        RequireZeroOrPositive(options.TriggerJitter, nameof(options.TriggerJitter));
        RequireZeroOrPositive(options.ShutdownGrace, nameof(options.ShutdownGrace));
        Require(options.MaxAttempts >= 1, nameof(options.MaxAttempts), options.MaxAttempts, "set 1 or more, or int.MaxValue for no limit");
        Require(
            options.SkipAfterAttempts is null or >= 1,
            nameof(options.SkipAfterAttempts),
            options.SkipAfterAttempts,
            "set 1 or more, or null for never");
        Require(
            options.SkipAfterAttempts is not { } skip || skip < options.MaxAttempts || options.MaxAttempts < 1,
            nameof(options.SkipAfterAttempts),
            options.SkipAfterAttempts,
            $"set it below MaxAttempts ({options.MaxAttempts}), after which the entry is dead");
        Require(options.MaxConcurrentLanes >= 1, nameof(options.MaxConcurrentLanes), options.MaxConcurrentLanes, "set 1 or more");
        Require(
            options.InlineBodyLength is >= 0 and <= MaxInlineBodyLength,
            nameof(options.InlineBodyLength),
            options.InlineBodyLength,
            $"set a number of bytes from 0 to {MaxInlineBodyLength}");
        Require(
            options.MaxBodyLength is null or >= 0,
            nameof(options.MaxBodyLength),
            options.MaxBodyLength,
            "set a number of bytes, or null for no limit");
        Require(
            options.MaxEntries is null or >= 1,
            nameof(options.MaxEntries),
            options.MaxEntries,
            "set a number of entries of 1 or more, or null for no limit");
        Require(
            options.MaxBytes is null or >= 0, nameof(options.MaxBytes), options.MaxBytes, "set a number of bytes, or null for no limit");
        Require(
            options.MaxDeadLetters is null or >= 0,
            nameof(options.MaxDeadLetters),
            options.MaxDeadLetters,
            "set a number of dead letters, or null for no limit");
        Require(
            options.DeadLetterRetention > TimeSpan.Zero || options.DeadLetterRetention == Timeout.InfiniteTimeSpan,
            nameof(options.DeadLetterRetention),
            options.DeadLetterRetention,
            "set a positive time, or Timeout.InfiniteTimeSpan for ever");
        Require(
            Enum.IsDefined(options.WhenFull),
            nameof(options.WhenFull),
            options.WhenFull,
            "set WhenFull.RefuseNew, WhenFull.DropOldest or WhenFull.DropFirstToExpire");
        Require(
            options.IdempotencyKeyHeader is null || IsToken(options.IdempotencyKeyHeader),
            nameof(options.IdempotencyKeyHeader),
            $"'{options.IdempotencyKeyHeader}'",
            "set the name of a header, or null to mint no key");
        Require(
            options.IdempotencyKeyHeader is null || HeaderCapture.IsKept(options.IdempotencyKeyHeader, options.SecretHeaders),
            nameof(options.IdempotencyKeyHeader),
            $"'{options.IdempotencyKeyHeader}'",
            "set the name of a header that is stored, so that replays carry the same key: "
            + "neither a secret nor one of a connection or a trace");
        Require(
            Enum.IsDefined(options.IdempotencyKeyFormat),
            nameof(options.IdempotencyKeyFormat),
            options.IdempotencyKeyFormat,
            "set IdempotencyKeyFormat.Bare or IdempotencyKeyFormat.QuotedString");
        Require(
            Enum.IsDefined(options.WhenQueued),
            nameof(options.WhenQueued),
            options.WhenQueued,
            "set WhenQueued.Throw, WhenQueued.ReturnAccepted or WhenQueued.Wait");
        if (options.WaitTimeout != Timeout.InfiniteTimeSpan)
        {
            RequirePositive(options.WaitTimeout, nameof(options.WaitTimeout));
        }

        Require(
            options.ReceiptRetention >= TimeSpan.Zero || options.ReceiptRetention == Timeout.InfiniteTimeSpan,
            nameof(options.ReceiptRetention),
            options.ReceiptRetention,
            "set TimeSpan.Zero, a positive time, or Timeout.InfiniteTimeSpan for ever");
        Require(
            options.WhenQueued != WhenQueued.Wait
                || options.ReceiptRetention == Timeout.InfiniteTimeSpan
                || options.ReceiptRetention >= 2 * options.ReplayInterval,
            nameof(options.ReceiptRetention),
            options.ReceiptRetention,
            $"set it to twice ReplayInterval ({options.ReplayInterval}) at least, "
            + "so that a caller who waits sees what another process has sent");
        Require(
            options.ReplyBodyLength is >= 0 and <= MaxReplyBodyLength,
            nameof(options.ReplyBodyLength),
            options.ReplyBodyLength,
            $"set a number of bytes from 0 to {MaxReplyBodyLength}");
        Require(
            Enum.IsDefined(options.Overtaking), nameof(options.Overtaking), options.Overtaking,
            "set Overtaking.Allowed or Overtaking.Never");
        foreach (var header in options.SecretHeaders)
        {
            Require(IsToken(header), nameof(options.SecretHeaders), $"'{header}'", "set names of headers");
        }

        foreach (var status in options.QueuedStatuses)
        {
            Require(status >= HttpStatusCode.BadRequest, nameof(options.QueuedStatuses), (int)status, "set statuses of 400 or more");
        }

        Require(options.ClassifyFailure is not null, nameof(options.ClassifyFailure), null, "set FailureClassifier.Classify, the default");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    /// <summary>A header's name is a token (RFC 9110, 5.6.2).</summary>
    private static bool IsToken(string name) =>
        name.Length > 0 && name.All(static c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));
}

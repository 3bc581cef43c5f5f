using BgSync.Http.Capture;
using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>Calls the application's hooks before and after an entry is sent.</summary>
internal sealed class ReplayHooks(QueueContext queue, IServiceScopeFactory scopes, ILogger logger)
{
    /// <summary>The time of a hook where an attempt may take for ever.</summary>
    private static readonly TimeSpan _longest = TimeSpan.FromSeconds(100);

    private readonly BackgroundSyncOptions _options = queue.Options;

    /// <summary>Lets the application change the request, or drop it.</summary>
    /// <returns>The settlement of the entry; <see langword="null"/> when it is to be sent.</returns>
    public async Task<Settlement?> ReplayingAsync(
        QueuedEntry entry, Receipt? prerequisite, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (_options.OnReplaying is not { } hook)
        {
            return null;
        }

        var attempt = entry.Attempts + 1;
        var isLast = attempt >= _options.Retry.MaxAttempts;
        string? dropped = null;
        var before = (request.Method, request.RequestUri, request.Content, Key: queue.KeyOf(request));
        try
        {
            await CallAsync(
                async (services, token) =>
                {
                    var context = new ReplayingContext(entry, prerequisite, request, attempt, isLast, services);
                    await hook(context, token).ConfigureAwait(false);
                    dropped = context.DropReason;
                },
                cancellationToken).ConfigureAwait(false);
            if (dropped is null && entry.Attempts > 0 && before.Key is { } key
                && before != (request.Method, request.RequestUri, request.Content, queue.KeyOf(request)) && queue.KeyOf(request) == key)
            {
                await RenewKeyAsync(entry, request, key, cancellationToken).ConfigureAwait(false);
            }

            return dropped is null ? null : new Settlement.DeadLettered(DeadLetterCause.Dropped, FailureText.Clean(dropped));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return OutcomeRules.DecideUnsent(
                entry, $"{nameof(_options.OnReplaying)} failed. {FailureText.Of(e, request)}", queue.ClassifyFailure(e), _options);
        }
    }

    /// <summary>Asks the application for the meaning of a response.</summary>
    public async Task<Answer> ClassifyAsync(Answer answer, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            ResponseVerdict? verdict = null;
            await CallAsync(
                async (_, token) => verdict = await _options.ClassifyResponse!(response, token).ConfigureAwait(false),
                cancellationToken).ConfigureAwait(false);
            return answer with { Verdict = verdict };
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return answer with { VerdictFailure = $"{nameof(_options.ClassifyResponse)} failed. {FailureText.Of(e)}" };
        }
    }

    /// <summary>Shows the application a response. Never throws: the settlement is decided, and must be written.</summary>
    public async Task ReplayedAsync(QueuedEntry entry, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            await CallAsync((services, token) => _options.OnReplayed!(new(entry, response, services), token), cancellationToken)
                .ConfigureAwait(false);
        }
        catch (Exception e)
        {
            ReplayMessages.HookFailed(logger, e, entry.Queue, entry.Id, FailureText.Of(e));
        }
    }

    /// <summary>
    /// Gives a request that the application has changed a key of its own, because the server may know the entry's key with another
    /// request. The key follows from the change, so that the same change has the same key at each attempt.
    /// </summary>
    private async Task RenewKeyAsync(QueuedEntry entry, HttpRequestMessage request, string key, CancellationToken cancellationToken)
    {
        var body = request.Content is { } changed ? await changed.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false) : [];
        var renewed = IdempotencyKey.Derive(key, $"{request.Method} {request.RequestUri}", body, _options.IdempotencyKeyFormat);
        request.Headers.Remove(_options.IdempotencyKeyHeader!);
        request.Headers.TryAddWithoutValidation(_options.IdempotencyKeyHeader!, renewed);
        ReplayMessages.KeyRenewed(logger, queue.Name, entry.Id);
    }

    private Task CallAsync(Func<IServiceProvider, CancellationToken, Task> hook, CancellationToken cancellationToken)
    {
        var limit = queue.AttemptTimeout();
        return ApplicationCall.RunAsync(
            hook, scopes, limit == Timeout.InfiniteTimeSpan ? _longest : limit, queue.Time, cancellationToken);
    }
}

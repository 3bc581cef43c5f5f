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

    /// <summary>Lets the application change the request. Throws what it throws, or that it took too long.</summary>
    /// <returns>Why the entry is to be dropped; <see langword="null"/> when it is to be sent.</returns>
    public async Task<string?> ReplayingAsync(
        QueuedEntry entry, Receipt? prerequisite, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (_options.OnReplaying is not { } hook)
        {
            return null;
        }

        var attempt = entry.Attempts + 1;
        string? dropped = null;
        await CallAsync(
            async (services, token) =>
            {
                var context = new ReplayingContext(
                    entry, prerequisite, request, attempt, attempt >= _options.Retry.MaxAttempts, services);
                await hook(context, token).ConfigureAwait(false);
                dropped = context.DropReason;
            },
            cancellationToken).ConfigureAwait(false);
        return dropped;
    }

    /// <summary>Asks the application for the meaning of a response.</summary>
    public async Task<ResponseVerdict?> ClassifyAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        ResponseVerdict? verdict = null;
        await CallAsync(
            async (_, token) => verdict = await _options.ClassifyResponse!(response, token).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
        return verdict;
    }

    /// <summary>Shows the application a response. Never throws: the settlement is decided, and must be written.</summary>
    public async Task ReplayedAsync(QueuedEntry entry, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (_options.OnReplayed is not { } hook)
        {
            return;
        }

        try
        {
            await CallAsync((services, token) => hook(new(entry, response, services), token), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            ReplayMessages.HookFailed(logger, e, entry.Queue, entry.Id, FailureText.Clean(e.Message));
        }
    }

    private async Task CallAsync(Func<IServiceProvider, CancellationToken, Task> hook, CancellationToken cancellationToken)
    {
        var scope = scopes.CreateAsyncScope();
        await using (scope.ConfigureAwait(false))
        {
            var limit = queue.AttemptTimeout();
            await ApplicationCall.RunAsync(
                token => hook(scope.ServiceProvider, token),
                limit == Timeout.InfiniteTimeSpan ? _longest : limit,
                queue.Time,
                cancellationToken).ConfigureAwait(false);
        }
    }
}

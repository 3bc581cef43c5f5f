using BgSync.Http.Queue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>Calls what the application wants called before and after an entry is sent.</summary>
internal sealed partial class ReplayHooks(
    BackgroundSyncOptions options,
    IServiceScopeFactory scopes,
    Func<TimeSpan> attemptTimeout,
    TimeProvider timeProvider,
    ILogger<ReplayHooks> logger)
{
    /// <summary>How long a hook may take where an attempt may take for ever.</summary>
    private static readonly TimeSpan _longest = TimeSpan.FromSeconds(100);

    private readonly ILogger<ReplayHooks> _logger = logger;

    /// <summary>Lets the application change the request. Throws what it throws, or that it took too long.</summary>
    /// <returns>Why the entry is to be dropped; <see langword="null"/> when it is to be sent.</returns>
    public async Task<string?> ReplayingAsync(
        QueuedEntry entry, Receipt? prerequisite, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (options.OnReplaying is not { } hook)
        {
            return null;
        }

        var attempt = entry.Attempts + 1;
        string? dropped = null;
        await CallAsync(
            async (services, token) =>
            {
                var context = new ReplayingContext(entry, prerequisite, request, attempt, attempt >= options.Retry.MaxAttempts, services);
                await hook(context, token).ConfigureAwait(false);
                dropped = context.DropReason;
            },
            cancellationToken).ConfigureAwait(false);
        return dropped;
    }

    /// <summary>Shows the application a response. Never throws: what became of the entry is known, and must be written down.</summary>
    public async Task ReplayedAsync(QueuedEntry entry, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (options.OnReplayed is not { } hook)
        {
            return;
        }

        try
        {
            await CallAsync((services, token) => hook(new(entry, response, services), token), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogReplayedFailed(e, entry.Queue, entry.Id, e.Message);
        }
    }

    private async Task CallAsync(Func<IServiceProvider, CancellationToken, Task> hook, CancellationToken cancellationToken)
    {
        var scope = scopes.CreateAsyncScope();
        await using (scope.ConfigureAwait(false))
        {
            var limit = attemptTimeout();
            await ApplicationCall.RunAsync(
                token => hook(scope.ServiceProvider, token),
                limit == Timeout.InfiniteTimeSpan ? _longest : limit,
                timeProvider,
                cancellationToken).ConfigureAwait(false);
        }
    }
}

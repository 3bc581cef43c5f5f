using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using static BgSync.Http.Replay.ReplaySignal;

namespace BgSync.Http.Replay;

/// <summary>
/// Calls the application's own replay (<see cref="BackgroundSyncOptions.OnSync"/>) when entries are due: one call at a time, and
/// after one that threw, or left due entries behind, no other before the wait is over or a trigger comes; after the last of them
/// only a trigger helps.
/// </summary>
/// <remarks>Used by its loop only, except for the call itself.</remarks>
internal sealed class SyncHook(QueueContext queue, IServiceScopeFactory scopes, ILogger logger)
{
    /// <summary>Triggers that end the wait for the next call.</summary>
    private const Triggers Urgent = Triggers.Network | Triggers.OriginReachable | Triggers.LiveSuccess;

    /// <summary>Triggers that end a wait which has no end of its own.</summary>
    private const Triggers Renewing = Urgent | Triggers.Start | Triggers.Added;

    /// <summary>How long a call may take.</summary>
    private static readonly TimeSpan _limit = TimeSpan.FromMinutes(5);

    private readonly BackgroundSyncOptions _options = queue.Options;
    private Task<bool>? _call;
    private Triggers _triggers;
    private DateTimeOffset _notBefore;
    private int _failures;
    private int _inVain;

    /// <summary>Whether the application has a replay of its own.</summary>
    public bool IsSet => _options.OnSync is not null;

    /// <summary>Whether the next call, or the one under way, is followed by none before a trigger should it throw.</summary>
    private bool IsLast => _failures + 1 >= _options.Retry.MaxAttempts || (_options.WaitsEndlessly && _inVain + 1 >= _options.Retry.Delays.Count);

    /// <summary>Begins a call, if it is time for one.</summary>
    /// <param name="triggers">Why the queue is looked at.</param>
    /// <param name="dueAt">When the first entry is due; <see cref="DateTimeOffset.MaxValue"/> when there is none.</param>
    /// <param name="replay">The default replay.</param>
    /// <param name="ended">Called when the call is over.</param>
    /// <param name="stop">Breaks the call off.</param>
    /// <returns>How long until it is time for a call; <see cref="TimeSpan.MaxValue"/> when nobody knows.</returns>
    public TimeSpan Consider(
        Triggers triggers,
        DateTimeOffset dueAt,
        Func<CancellationToken, Task<ReplaySummary>> replay,
        Action ended,
        CancellationToken stop)
    {
        // A trigger that found nothing is spent.
        _triggers = dueAt == DateTimeOffset.MaxValue ? default : _triggers | triggers;
        if (_call is { IsCompleted: false })
        {
            return TimeSpan.MaxValue;
        }

        var now = queue.Time.GetUtcNow();
        if (_call is { Result: var succeeded })
        {
            _call = null;
            var wasLast = !succeeded && IsLast;
            _failures = succeeded ? 0 : _failures + 1;
            // A request that came while it ran is no fault of a call that succeeded, the first time.
            var inVain = succeeded && _triggers.HasFlag(Triggers.Added) ? _inVain : _inVain + 1;
            _inVain = succeeded && dueAt > now ? 0 : _inVain + 1;
            _notBefore = _inVain == 0 || inVain == 0 ? now : After(now, wasLast ? TimeSpan.MaxValue : _options.WaitAfter(inVain));
            // The call itself has reached it.
            _triggers &= ~Triggers.OriginReachable;
        }

        if (_notBefore == DateTimeOffset.MaxValue && (_triggers & Renewing) != 0)
        {
            (_notBefore, _failures, _inVain) = (now, 0, 0);
        }

        var at = dueAt > _notBefore || (_triggers & Urgent) != 0 ? dueAt : _notBefore;
        if (at > now)
        {
            return at - now;
        }

        var reason = ReasonOf(_triggers);
        _triggers = default;
        var (attempt, isLast) = (_failures + 1, IsLast);
        _call = Task.Run(() => CallAsync(reason, attempt, isLast, replay, stop), CancellationToken.None);
        // Not before it is completed: who looked at it too early would sleep on.
        _ = _call.ContinueWith(static (_, ended) => ((Action)ended!)(), ended, TaskScheduler.Default);
        return TimeSpan.MaxValue;
    }

    /// <summary>Waits for the call under way, until <paramref name="abort"/>.</summary>
    public Task EndAsync(CancellationToken abort) => _call?.WaitAsync(abort) ?? Task.CompletedTask;

    private static ReplayReason ReasonOf(Triggers triggers) => triggers switch
    {
        _ when triggers.HasFlag(Triggers.Network) => ReplayReason.Network,
        _ when triggers.HasFlag(Triggers.Start) => ReplayReason.Start,
        _ when (triggers & Urgent) != 0 => ReplayReason.ServerReachable,
        _ => ReplayReason.Due,
    };

    private static DateTimeOffset After(DateTimeOffset now, TimeSpan wait) =>
        wait == TimeSpan.MaxValue ? DateTimeOffset.MaxValue : now + wait;

    /// <returns>Whether it succeeded.</returns>
    private async Task<bool> CallAsync(
        ReplayReason reason, int attempt, bool isLast,
        Func<CancellationToken, Task<ReplaySummary>> replay, CancellationToken stop)
    {
        try
        {
            await ApplicationCall.RunAsync(
                async (services, token) =>
                {
                    var self = services.GetRequiredKeyedService<IBackgroundSyncQueue>(queue.Name);
                    await _options.OnSync!(new(self, reason, attempt, isLast, services, replay), token).ConfigureAwait(false);
                },
                scopes,
                _limit,
                queue.Time,
                stop).ConfigureAwait(false);
            return true;
        }
        catch (Exception e)
        {
            if (!stop.IsCancellationRequested)
            {
                Action<ILogger, Exception, string, int, string> log = isLast ? ReplayMessages.SyncFailedForNow : ReplayMessages.SyncFailed;
                log(logger, e, queue.Name, attempt, FailureText.Of(e));
            }

            return false;
        }
    }
}

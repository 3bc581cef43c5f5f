using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Events;

/// <summary>Has the application's observers, and each queue's <see cref="BackgroundSyncOptions.OnDeadLettered"/>, told of events.</summary>
internal sealed partial class EntryObservers(
    IServiceProvider services,
    EntryEventFeed feed,
    BackgroundSyncMetrics metrics,
    TimeProvider timeProvider,
    ILogger<EntryObservers> logger)
{
    /// <summary>How long an observer may take for one event.</summary>
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(30);

    private readonly SafeLogger _logger = new(logger);
    private readonly Lock _lock = new();
    private volatile bool _started;

    /// <summary>Begins with the first event: an observer may want a queue, and so cannot be made before there is one.</summary>
    public void EnsureStarted()
    {
        if (!_started)
        {
            lock (_lock)
            {
                if (!_started)
                {
                    _started = true;
                    Start();
                }
            }
        }
    }

    /// <summary>Begins to tell a queue's <see cref="BackgroundSyncOptions.OnDeadLettered"/> of its dead letters.</summary>
    public void TellOfDeadLetters(string queue, Func<DeadLetter, CancellationToken, Task> onDeadLettered) => Listen(
        nameof(BackgroundSyncOptions.OnDeadLettered),
        entryEvent => entryEvent.Kind == EntryEventKind.DeadLettered && entryEvent.Queue == queue,
        (entryEvent, token) => onDeadLettered(entryEvent.DeadLetter!, token));

    private void Start()
    {
        try
        {
            foreach (var observer in services.GetServices<IBackgroundSyncObserver>())
            {
                Listen(observer.GetType().Name, static _ => true, observer.OnEventAsync);
            }
        }
        catch (Exception e)
        {
            LogNotMade(e, FailureText.Of(e));
        }
    }

    private void Listen(string name, Func<EntryEvent, bool> accepts, Func<EntryEvent, CancellationToken, Task> observe)
    {
        var mailbox = feed.Open(accepts);
        // Nothing of whoever made the first event, a trace or a transaction, belongs to those that follow.
        ThreadPool.UnsafeQueueUserWorkItem(_ => _ = TellAsync(name, mailbox, observe), state: null);
    }

    private async Task TellAsync(string name, EntryMailbox mailbox, Func<EntryEvent, CancellationToken, Task> observe)
    {
        while (await mailbox.WaitAsync(CancellationToken.None).ConfigureAwait(false))
        {
            while (mailbox.TryTake(out var entryEvent))
            {
                if (mailbox.TakeMissed() is > 0 and var missed)
                {
                    metrics.Missed(name, missed);
                    LogMissed(name, missed);
                }

                try
                {
                    await ApplicationCall.RunAsync(token => observe(entryEvent, token), _limit, timeProvider, CancellationToken.None)
                        .ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    LogFailed(e, name, entryEvent.Kind, entryEvent.Queue, entryEvent.EntryId, FailureText.Of(e));
                }
            }
        }
    }
}

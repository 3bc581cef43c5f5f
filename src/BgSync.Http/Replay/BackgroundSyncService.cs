using BgSync.Http.Diagnostics;
using BgSync.Http.Events;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using static BgSync.Http.Replay.ReplaySignal;

namespace BgSync.Http.Replay;

/// <summary>Starts and stops the loops of all queues, and tells them of the network, and of what other processes queue.</summary>
internal sealed class BackgroundSyncService(
    IServiceProvider services,
    IBackgroundSyncQueues queues,
    INetworkStatus network,
    EntryWaiters waiters,
    ILoggerFactory loggers)
    : IBackgroundSync, IHostedLifecycleService, IDisposable
{
    private readonly SafeLogger _logger = new(loggers.CreateLogger("BgSync.Http.Replay"));
    private readonly SemaphoreSlim _gate = new(1, 1);
    private Run? _run;

    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _run ??= Begin(Loops());
            waiters.Open();
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        // First: who waits for its entry is not to wait for the grace.
        waiters.Close();
        // Not with the token: a stop that came too late still gives back what is under way.
        await _gate.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_run is { } run)
            {
                _run = null;
                await run.StopAsync(cancellationToken).ConfigureAwait(false);
                run.Dispose();
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    Task IHostedLifecycleService.StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostedLifecycleService.StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Before any service stops: a web server that drains its requests would wait for those that wait for their entries.</summary>
    Task IHostedLifecycleService.StoppingAsync(CancellationToken cancellationToken)
    {
        waiters.Close();
        return Task.CompletedTask;
    }

    Task IHostedLifecycleService.StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken = default)
    {
        var summaries = await Task.WhenAll(Loops().Select(loop => loop.ReplayAsync(deadline, cancellationToken))).ConfigureAwait(false);
        return summaries.Aggregate(new ReplaySummary(0, 0, 0, Completed: true), static (sum, each) => sum.Plus(each));
    }

    /// <summary>Called once for each service that this one is registered as.</summary>
    public void Dispose()
    {
        Interlocked.Exchange(ref _run, null)?.Dispose();
        _gate.Dispose();
    }

    private Run Begin(ReplayLoop[] loops) => new(
        loops,
        [
            TrySubscribe(
                () => network.Subscribe(_ => Array.ForEach(loops, static loop => loop.Trigger(Triggers.Network))),
                ReplayMessages.NetworkNotHeard),
            TrySubscribe(
                () => (services.GetRequiredService<IQueueStore>() as IQueueStoreSignals)?.Subscribe(queue =>
                {
                    foreach (var loop in loops.Where(loop => queue is null || loop.Queue == queue))
                    {
                        loop.WakeForNew();
                    }
                }),
                ReplayMessages.StoreNotHeard),
        ]);

    /// <returns><see langword="null"/> when there is nothing to listen to, or it cannot be listened to: time alone is enough.</returns>
    private IDisposable? TrySubscribe(Func<IDisposable?> subscribe, Action<ILogger, Exception, string> logFailure)
    {
        try
        {
            return subscribe();
        }
        catch (Exception e)
        {
            logFailure(_logger, e, FailureText.Of(e));
            return null;
        }
    }

    private ReplayLoop[] Loops() => [.. queues.Names.Select(queue => services.GetRequiredKeyedService<ReplayLoop>(queue))];

    /// <summary>The tasks that run between a start and a stop.</summary>
    private sealed class Run : IDisposable
    {
        private readonly CancellationTokenSource _shutdown = new();
        private readonly CancellationTokenSource _abort = new();
        private readonly IDisposable?[] _subscriptions;
        private readonly Task _loops;

        public Run(ReplayLoop[] loops, IDisposable?[] subscriptions)
        {
            _subscriptions = subscriptions;
            // Nothing of whoever starts the service, a trace or a transaction, belongs to what is sent later.
            using (ExecutionContext.SuppressFlow())
            {
                _loops = Task.WhenAll(loops.Select(loop =>
                    Task.Run(() => loop.RunAsync(Triggers.Start, _shutdown.Token, _abort.Token))));
            }
        }

        public async Task StopAsync(CancellationToken cancellationToken)
        {
            Unsubscribe();
            using (cancellationToken.UnsafeRegister(static abort => ((CancellationTokenSource)abort!).Cancel(), _abort))
            {
                await _shutdown.CancelAsync().ConfigureAwait(false);
                await _loops.ConfigureAwait(false);
            }
        }

        /// <summary>Ends it where nobody has stopped it: whoever listens to the network is kept alive by it.</summary>
        public void Dispose()
        {
            Unsubscribe();
            _shutdown.Cancel();
            _abort.Cancel();
            _shutdown.Dispose();
            _abort.Dispose();
        }

        private void Unsubscribe() => Array.ForEach(_subscriptions, static subscription => subscription?.Dispose());
    }
}

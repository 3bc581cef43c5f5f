using BgSync.Http.Connectivity;
using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using Microsoft.Extensions.Logging;
using static BgSync.Http.Replay.ReplaySignal;

namespace BgSync.Http.Replay;

/// <summary>
/// Sends the entries of one queue: has the lanes sent that are due, and sleeps until a trigger, a free place or the next due time.
/// </summary>
internal sealed class ReplayLoop(
    QueueContext queue,
    OriginCircuits circuits,
    LaneDispatcher lanes,
    Settler settler,
    QueueHousekeeper housekeeper,
    SyncHook sync,
    ILogger logger)
    : IQueueReplayer, IDisposable
{
    /// <summary>The time that attempts get to end once they were broken off, before they are left behind.</summary>
    private static readonly TimeSpan _abandonment = TimeSpan.FromSeconds(2);

    private readonly BackgroundSyncOptions _options = queue.Options;
    private readonly ReplaySignal _signal = new(queue.Time);
    private readonly FailureLog _failures = new(queue.Time);
    private readonly ReplayWaiters _waiters = new();
    private readonly SemaphoreSlim _running = new(1, 1);
    private readonly CancellationTokenSource _disposal = new();

    private int _disposed;
    private int _pollFailures;
    private bool _isStarted;
    private bool _endsTriggerOnlyWaits;

    /// <summary>The name of the queue.</summary>
    public string Queue => queue.Name;

    /// <summary>How many lanes it is sending.</summary>
    public int InFlight => lanes.InFlight;

    /// <summary>Gives back the entries under way, while the store is still there: the container disposes of it later.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _disposal.Cancel();
            // The loop ends by itself; one that a store keeps waiting is left behind.
            if (_running.Wait(2 * _abandonment))
            {
                _running.Dispose();
                _disposal.Dispose();
            }
        }
    }

    public void Wake()
    {
        lanes.NoteChange();
        _signal.Set(Triggers.Changed);
    }

    public void WakeForNew() => _signal.Set(Triggers.Changed | Triggers.Added);

    public void Trigger(Triggers trigger) => _signal.Set(trigger);

    public DateTimeOffset OpenUntil(string origin) => circuits.OpenUntil(origin, _options);

    public void ReportLive(Uri uri, int? statusCode)
    {
        if (statusCode is null || circuits.AnyNotClosed)
        {
            circuits.ReportLive(RequestSnapshot.OriginOf(uri), statusCode, _options);
        }

        if (settler.WaitsForTrigger && statusCode is >= 200 and < 300)
        {
            _signal.Set(Triggers.LiveSuccess);
        }
    }

    public Task<string?> ReplayLaneAsync(string lane, CancellationToken cancellationToken) => lanes.DrainAsync(lane, cancellationToken);

    public Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken) =>
        ReplayAsync(Triggers.Manual, deadline, cancellationToken);

    /// <summary>Runs until it is stopped. A second run waits for the first to end. Never throws.</summary>
    /// <param name="trigger">Why it begins.</param>
    /// <param name="shutdown">Stops it; the attempts under way have the grace then.</param>
    /// <param name="abort">Ends the grace.</param>
    public async Task RunAsync(Triggers trigger, CancellationToken shutdown, CancellationToken abort)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(shutdown, _disposal.Token);
        using var attempts = CancellationTokenSource.CreateLinkedTokenSource(abort, _disposal.Token);
        try
        {
            await _running.WaitAsync(stop.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return;
        }

        // A run begins with a poll, so that nothing is missed between two runs.
        circuits.Changed += OnCircuitChanged;
        lanes.LaneEnded += OnLaneEnded;
        try
        {
            _isStarted = trigger == Triggers.Start;
            await LoopAsync(trigger, attempts.Token, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await EndAttemptsAsync(attempts).ConfigureAwait(false);
        }
        finally
        {
            circuits.Changed -= OnCircuitChanged;
            lanes.LaneEnded -= OnLaneEnded;
            _running.Release();
        }
    }

    private async Task LoopAsync(Triggers trigger, CancellationToken abort, CancellationToken stop)
    {
        // Devices that start together do not arrive together; a replay by hand does not wait for that.
        var (wait, awaited) = trigger == Triggers.Start ? (Jitter(), Urgent) : (TimeSpan.Zero, (Triggers)~0);
        while (true)
        {
            var triggers = trigger | await _signal.WaitAsync(wait, awaited, stop).ConfigureAwait(false);
            trigger = default;
            wait = await PollOnceAsync(triggers, abort, stop).ConfigureAwait(false);
            // After a failure nothing but a trigger from outside cuts the backoff: what was admitted is given back, and that is no
            // reason to ask again.
            awaited = _pollFailures > 0 ? Urgent : (Triggers)~0;
        }
    }

    private async Task<ReplaySummary> ReplayAsync(Triggers trigger, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var before = settler.Counts;
        var waiting = _waiters.Add();
        var completed = true;
        using var shutdown = new CancellationTokenSource();
        Task own;
        // Where the loop is not started, and when its owner ends, this call runs it itself, for as long as it waits.
        using (ExecutionContext.SuppressFlow())
        {
            own = Task.Run(() => RunAsync(Triggers.Changed, shutdown.Token, shutdown.Token), CancellationToken.None);
        }

        _signal.Set(trigger);
        try
        {
            await waiting.WaitAsync(deadline, queue.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            completed = false;
        }
        finally
        {
            await shutdown.CancelAsync().ConfigureAwait(false);
            await own.ConfigureAwait(false);
        }

        var counts = await queue.Store.CountAsync(Queue, cancellationToken).ConfigureAwait(false);
        var after = settler.Counts;
        return new(after.Delivered - before.Delivered, after.DeadLettered - before.DeadLettered, counts.Pending, completed);
    }

    /// <summary>Looks at the queue once. Never throws, but when it is stopped.</summary>
    /// <returns>How long to sleep.</returns>
    private async Task<TimeSpan> PollOnceAsync(Triggers triggers, CancellationToken abort, CancellationToken stop)
    {
        try
        {
            if ((triggers & (Triggers.Manual | Triggers.Sync)) != 0)
            {
                _waiters.Begin();
            }

            if ((triggers & ~Triggers.Added) != Triggers.Changed)
            {
                ReplayMessages.Triggered(logger, Queue, triggers);
            }

            lanes.BeginPoll();
            await PrepareAsync(triggers, stop).ConfigureAwait(false);
            var (wait, isBusy) = await IsPausedAsync(stop).ConfigureAwait(false)
                ? (TimeSpan.MaxValue, false)
                : await ReplayDueAsync(triggers, abort, stop).ConfigureAwait(false);
            _pollFailures = 0;
            _failures.Recover();
            if (!isBusy && lanes.IsIdle)
            {
                _waiters.Complete();
            }

            return Min(Interval(), wait);
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            // Whatever it is, the loop goes on: the store may be back at the next poll.
            if (_failures.IsToBeTold())
            {
                ReplayMessages.PollFailed(logger, e, Queue, FailureText.Of(e));
            }

            _waiters.Fail(e);
            return Backoff.Wait(++_pollFailures, _options.Retry.MinBackoff, _options.Retry.MaxBackoff, _options.Randomizer());
        }
    }

    /// <summary>Acts on the triggers before the queue is looked at.</summary>
    private async Task PrepareAsync(Triggers triggers, CancellationToken cancellationToken)
    {
        if (triggers.HasFlag(Triggers.Manual))
        {
            circuits.RetryAfter(TimeSpan.Zero, _options);
            await queue.Store.ClearBackoffAsync(Queue, onlyEndless: false, cancellationToken).ConfigureAwait(false);
        }
        else if (triggers.HasFlag(Triggers.Network))
        {
            circuits.RetryAfter(Jitter(), _options);
        }

        await EndTriggerOnlyWaitsAsync(triggers, cancellationToken).ConfigureAwait(false);
        await housekeeper.KeepAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the waits that only a trigger ends (<see cref="BackgroundSyncRetryOptions.Delays"/>), if one has come.</summary>
    private async Task EndTriggerOnlyWaitsAsync(Triggers triggers, CancellationToken cancellationToken)
    {
        const Triggers Ending = Triggers.Network | Triggers.LiveSuccess | Triggers.Added;
        // At a start the waits of an earlier run end too, whose options may have been others.
        _endsTriggerOnlyWaits |= triggers.HasFlag(Triggers.Start) || (_options.WaitsEndlessly && (triggers & Ending) != 0);
        if (_endsTriggerOnlyWaits)
        {
            circuits.EndTriggerOnlyBackoffs(_options);
            await queue.Store.ClearBackoffAsync(Queue, onlyEndless: true, cancellationToken).ConfigureAwait(false);
            settler.WaitsForTrigger = false;
            // Only now: had the store failed, the next poll would try again.
            _endsTriggerOnlyWaits = false;
        }
    }

    /// <summary>Whether the application has paused the queue. A pause that an earlier version made for credentials is ended.</summary>
    private async Task<bool> IsPausedAsync(CancellationToken cancellationToken)
    {
        var pause = await queue.Store.GetPauseAsync(Queue, cancellationToken).ConfigureAwait(false);
        if (pause is { Cause: PauseCause.Credentials })
        {
            await queue.Store.SetPauseAsync(Queue, null, cancellationToken).ConfigureAwait(false);
            return false;
        }

        return pause is not null;
    }

    /// <summary>Sends what is due, or has the application do so; a replay by hand gets the default one.</summary>
    /// <returns>How long to sleep, and whether something is under way elsewhere that lanes wait for.</returns>
    private async Task<(TimeSpan Wait, bool Busy)> ReplayDueAsync(
        Triggers triggers, CancellationToken abort, CancellationToken stop)
    {
        if (!sync.IsSet || !_isStarted || _waiters.AreServed)
        {
            return await lanes.DispatchAsync(abort, stop).ConfigureAwait(false);
        }

        var schedule = await queue.Store.GetScheduleAsync(Queue, stop).ConfigureAwait(false);
        var dueAt = schedule.Select(origin => Max(origin.DueAt, OpenUntil(origin.Origin)))
            .DefaultIfEmpty(DateTimeOffset.MaxValue).Min();
        return (sync.Consider(triggers, dueAt, token => ReplayForSyncAsync(token, stop), Wake, stop), false);
    }

    /// <summary>The default replay, for the application's own.</summary>
    private async Task<ReplaySummary> ReplayForSyncAsync(CancellationToken cancellationToken, CancellationToken stop)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stop);
        return await ReplayAsync(Triggers.Sync, Timeout.InfiniteTimeSpan, either.Token).ConfigureAwait(false);
    }

    /// <summary>Waits for the attempts under way, then breaks them off; each gives its lease back. One that does not end is left.</summary>
    private async Task EndAttemptsAsync(CancellationTokenSource attempts)
    {
        using var grace = new CancellationTokenSource(_options.Replay.ShutdownGrace, queue.Time);
        using var end = grace.Token.UnsafeRegister(static attempts => ((CancellationTokenSource)attempts!).Cancel(), attempts);
        // Real time: whoever stops does not wait for a clock that stands still.
        using var abandoned = new CancellationTokenSource();
        using var abandon = attempts.Token.UnsafeRegister(
            static abandoned => ((CancellationTokenSource)abandoned!).CancelAfter(_abandonment), abandoned);
        var taken = default(Triggers);
        try
        {
            while (InFlight > 0)
            {
                taken |= await _signal.WaitAsync(Timeout.InfiniteTimeSpan, (Triggers)~0, abandoned.Token).ConfigureAwait(false);
            }

            await sync.EndAsync(attempts.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (OperationCanceledException)
        {
            ReplayMessages.AttemptsLeft(logger, Queue, InFlight);
        }

        // They are the next run's.
        _signal.Set(taken);
    }

    private void OnLaneEnded() => _signal.Set(Triggers.Changed);

    private void OnCircuitChanged(bool isReached) => _signal.Set(isReached ? Triggers.OriginReachable : Triggers.Changed);

    /// <summary>Until the next poll although nothing happened, spread a little so that processes do not poll in step.</summary>
    private TimeSpan Interval() => _options.Replay.Interval * (1 + (0.1 * _options.Randomizer()));

    private TimeSpan Jitter() => _options.Replay.TriggerJitter * _options.Randomizer();

    private static DateTimeOffset Max(DateTimeOffset left, DateTimeOffset right) => left > right ? left : right;

    private static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;
}

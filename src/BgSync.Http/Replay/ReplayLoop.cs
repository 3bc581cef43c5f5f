using BgSync.Http.Connectivity;
using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;
using static BgSync.Http.Replay.ReplaySignal;

namespace BgSync.Http.Replay;

/// <summary>
/// Sends the entries of one queue. It leases the heads of lanes that are due, as many as there are free places, sends them side by
/// side, and sleeps until a trigger, a free place or the next due time.
/// </summary>
internal sealed class ReplayLoop : IQueueReplayer, IDisposable
{
    /// <summary>The time that attempts get to end once they were broken off, before they are left behind.</summary>
    private static readonly TimeSpan _abandonment = TimeSpan.FromSeconds(2);

    private readonly QueueContext _queue;
    private readonly BackgroundSyncOptions _options;
    private readonly OriginCircuits _circuits;
    private readonly ReplayParts _parts;
    private readonly ILogger _logger;
    private readonly ReplaySignal _signal;
    private readonly FailureLog _failures;
    private readonly ReplayWaiters _waiters = new();
    private readonly SemaphoreSlim _running = new(1, 1);
    private readonly CancellationTokenSource _disposal = new();

    private int _inFlight;
    private int _laneReplays;
    private int _ended;
    private int _changes;
    private int _disposed;

    /// <summary>The count of changes at a poll that found no lane waiting for a place; -1 when one may be.</summary>
    private volatile int _noLaneIsWaiting = -1;

    private string _lastServed = "";
    private int _pollFailures;
    private bool _isStarted;
    private bool _endsTriggerOnlyWaits;

    public ReplayLoop(QueueContext queue, OriginCircuits circuits, ReplayParts parts, ILogger logger)
    {
        _queue = queue;
        _options = queue.Options;
        _circuits = circuits;
        _parts = parts;
        _logger = logger;
        _signal = new ReplaySignal(queue.Time);
        _failures = new FailureLog(queue.Time);
        _circuits.Changed += OnCircuitChanged;
    }

    /// <summary>The name of the queue.</summary>
    public string Queue => _queue.Name;

    /// <summary>How many lanes it is sending.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Gives back the entries under way, while the store is still there: the container disposes of it later.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _circuits.Changed -= OnCircuitChanged;
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
        // Lanes that continue have to wait for the poll that sees the change.
        Interlocked.Increment(ref _changes);
        _signal.Set(Triggers.Changed);
    }

    public void WakeForNew() => _signal.Set(Triggers.Changed | Triggers.Added);

    public void Trigger(Triggers trigger) => _signal.Set(trigger);

    public DateTimeOffset ClosedUntil(string origin) => _circuits.ClosedUntil(origin, _options);

    public void ReportLive(Uri uri, int? statusCode)
    {
        if (statusCode is null || _circuits.AnyNotClosed)
        {
            _circuits.ReportLive(RequestSnapshot.OriginOf(uri), statusCode, _options);
        }

        if (_parts.Settler.WaitsForTrigger && statusCode is >= 200 and < 300)
        {
            _signal.Set(Triggers.LiveSuccess);
        }
    }

    public async Task<string?> ReplayLaneAsync(string lane, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _laneReplays);
        try
        {
            return await _parts.Lanes.DrainAsync(lane, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Increment(ref _ended);
            Interlocked.Decrement(ref _laneReplays);
            Wake();
        }
    }

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
            _running.Release();
        }
    }

    private async Task LoopAsync(Triggers trigger, CancellationToken attempt, CancellationToken stop)
    {
        // Devices that start together do not arrive together; a replay by hand does not wait for that.
        var (wait, awaited) = trigger == Triggers.Start ? (Jitter(), Urgent) : (TimeSpan.Zero, (Triggers)~0);
        while (true)
        {
            var triggers = trigger | await _signal.WaitAsync(wait, awaited, stop).ConfigureAwait(false);
            trigger = default;
            wait = await PollOnceAsync(triggers, attempt, stop).ConfigureAwait(false);
            // After a failure nothing but a trigger from outside cuts the backoff: what was admitted is given back, and that is no
            // reason to ask again.
            awaited = _pollFailures > 0 ? Urgent : (Triggers)~0;
        }
    }

    private async Task<ReplaySummary> ReplayAsync(Triggers trigger, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var before = _parts.Settler.Counts;
        var completed = await ReplayOnceAsync(trigger, deadline, cancellationToken).ConfigureAwait(false);
        var counts = await _queue.Store.CountAsync(Queue, cancellationToken).ConfigureAwait(false);
        var after = _parts.Settler.Counts;
        return new(after.Delivered - before.Delivered, after.DeadLettered - before.DeadLettered, counts.Pending, completed);
    }

    private async Task<bool> ReplayOnceAsync(Triggers trigger, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var waiting = _waiters.Add();
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
            await waiting.WaitAsync(deadline, _queue.Time, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
        finally
        {
            await shutdown.CancelAsync().ConfigureAwait(false);
            await own.ConfigureAwait(false);
        }
    }

    /// <summary>Looks at the queue once. Never throws, but when it is stopped.</summary>
    /// <returns>How long to sleep.</returns>
    private async Task<TimeSpan> PollOnceAsync(Triggers triggers, CancellationToken attempt, CancellationToken stop)
    {
        try
        {
            if ((triggers & (Triggers.Manual | Triggers.Sync)) != 0)
            {
                _waiters.Begin();
            }

            if ((triggers & ~Triggers.Added) != Triggers.Changed)
            {
                ReplayMessages.Triggered(_logger, Queue, triggers);
            }

            // An attempt that ends during the poll may leave something due that the poll has not seen; the next one does.
            var ended = Volatile.Read(ref _ended);
            var changes = Volatile.Read(ref _changes);
            _noLaneIsWaiting = -1;
            await PrepareAsync(triggers, stop).ConfigureAwait(false);
            var (wait, busy) = await IsPausedAsync(stop).ConfigureAwait(false)
                ? (Interval(), false)
                : await ReplayDueAsync(triggers, changes, attempt, stop).ConfigureAwait(false);
            _pollFailures = 0;
            _failures.Recover();
            if (!busy && InFlight == 0 && Volatile.Read(ref _laneReplays) == 0 && Volatile.Read(ref _ended) == ended)
            {
                _waiters.Complete();
            }

            return wait;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            // Whatever it is, the loop goes on: the store may be back at the next poll.
            if (_failures.IsToBeTold())
            {
                ReplayMessages.PollFailed(_logger, e, Queue, e.Message);
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
            _circuits.RetryAfter(TimeSpan.Zero, _options);
            await _queue.Store.ClearBackoffAsync(Queue, onlyEndless: false, cancellationToken).ConfigureAwait(false);
        }
        else if (triggers.HasFlag(Triggers.Network))
        {
            _circuits.RetryAfter(Jitter(), _options);
        }

        await EndTriggerOnlyWaitsAsync(triggers, cancellationToken).ConfigureAwait(false);
        await _parts.Housekeeper.KeepAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the waits that only a trigger ends (<see cref="BackgroundSyncRetryOptions.Delays"/>), if one has come.</summary>
    private async Task EndTriggerOnlyWaitsAsync(Triggers triggers, CancellationToken cancellationToken)
    {
        const Triggers Ending = Triggers.Network | Triggers.LiveSuccess | Triggers.Added;
        // At a start the waits of an earlier run end too, whose options may have been others.
        _endsTriggerOnlyWaits |= triggers.HasFlag(Triggers.Start) || (_options.WaitsEndlessly && (triggers & Ending) != 0);
        if (_endsTriggerOnlyWaits)
        {
            _circuits.EndEndlessWaits(_options);
            await _queue.Store.ClearBackoffAsync(Queue, onlyEndless: true, cancellationToken).ConfigureAwait(false);
            _parts.Settler.WaitsForTrigger = false;
            // Only now: had the store failed, the next poll would try again.
            _endsTriggerOnlyWaits = false;
        }
    }

    /// <summary>Whether the application has paused the queue. A pause that an earlier version made for credentials is ended.</summary>
    private async Task<bool> IsPausedAsync(CancellationToken cancellationToken)
    {
        var pause = await _queue.Store.GetPauseAsync(Queue, cancellationToken).ConfigureAwait(false);
        if (pause is { Cause: PauseCause.Credentials })
        {
            await _queue.Store.SetPauseAsync(Queue, null, cancellationToken).ConfigureAwait(false);
            return false;
        }

        return pause is not null;
    }

    /// <summary>Sends what is due, or has the application do so; a replay by hand gets the default one.</summary>
    /// <returns>How long to sleep, and whether something is under way elsewhere that lanes wait for.</returns>
    private async Task<(TimeSpan Wait, bool Busy)> ReplayDueAsync(
        Triggers triggers, int changes, CancellationToken attempt, CancellationToken stop)
    {
        if (!_parts.Sync.IsSet || !_isStarted || _waiters.AreServed)
        {
            return await DispatchAsync(changes, attempt, stop).ConfigureAwait(false);
        }

        var schedule = await _queue.Store.GetScheduleAsync(Queue, stop).ConfigureAwait(false);
        var dueAt = schedule.Select(origin => Max(origin.DueAt, ClosedUntil(origin.Origin)))
            .DefaultIfEmpty(DateTimeOffset.MaxValue).Min();
        return (Min(Interval(), _parts.Sync.Consider(triggers, dueAt, token => ReplayForSyncAsync(token, stop), Wake, stop)), false);
    }

    /// <summary>The default replay, for the application's own.</summary>
    private async Task<ReplaySummary> ReplayForSyncAsync(CancellationToken cancellationToken, CancellationToken stop)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stop);
        return await ReplayAsync(Triggers.Sync, Timeout.InfiniteTimeSpan, either.Token).ConfigureAwait(false);
    }

    /// <summary>Leases and sends as much as may be sent now.</summary>
    /// <returns>How long to sleep, and whether something is under way elsewhere that lanes wait for.</returns>
    private async Task<(TimeSpan Wait, bool Busy)> DispatchAsync(int changes, CancellationToken attempt, CancellationToken stop)
    {
        var wait = Interval();
        var busy = false;
        var noLaneIsWaiting = true;
        foreach (var (origin, dueAt) in RoundRobin(await _queue.Store.GetScheduleAsync(Queue, stop).ConfigureAwait(false)))
        {
            var until = dueAt - _queue.Time.GetUtcNow();
            if (until > TimeSpan.Zero)
            {
                wait = Min(wait, until);
                // The store counts in milliseconds: what is due at once may be due within the next one.
                busy |= until <= TimeSpan.FromMilliseconds(1);
                continue;
            }

            var free = _options.Replay.MaxConcurrentLanes - InFlight;
            if (free <= 0)
            {
                return (wait, true);
            }

            var admitted = _circuits.Admit(origin, free, _parts.Pipeline.MaxConnections(), _options, out until);
            if (admitted == 0)
            {
                var isUnderWay = until == Timeout.InfiniteTimeSpan;
                busy |= isUnderWay;
                noLaneIsWaiting &= !isUnderWay;
                wait = isUnderWay ? wait : Min(wait, until);
                continue;
            }

            _lastServed = origin;
            var sent = await SendDueAsync(origin, admitted, attempt, stop).ConfigureAwait(false);
            if (sent == 0)
            {
                // Another process was faster.
                wait = Min(wait, _options.Retry.MinBackoff);
            }
            else if (sent == free)
            {
                // Whether anything waits for a place is not known yet.
                (wait, noLaneIsWaiting) = (TimeSpan.Zero, false);
            }

            // Other lanes wait for a probe, or for a place in the circuit.
            noLaneIsWaiting &= sent < admitted || admitted == free;
        }

        _noLaneIsWaiting = noLaneIsWaiting ? changes : -1;
        return (wait, busy);
    }

    /// <summary>Each origin gets its turn: one with many lanes does not keep the others waiting.</summary>
    private IEnumerable<OriginSchedule> RoundRobin(IReadOnlyList<OriginSchedule> schedule) => schedule
        .OrderBy(origin => string.CompareOrdinal(origin.Origin, _lastServed) <= 0)
        .ThenBy(static origin => origin.Origin, StringComparer.Ordinal);

    /// <returns>How many lanes were leased.</returns>
    private async Task<int> SendDueAsync(string origin, int admitted, CancellationToken attempt, CancellationToken stop)
    {
        var started = 0;
        try
        {
            foreach (var leased in await _parts.Leases.LeaseAsync(origin, admitted).ConfigureAwait(false))
            {
                started++;
                Interlocked.Increment(ref _inFlight);
                _ = Task.Run(() => RunLaneAsync(leased, origin, attempt, stop), CancellationToken.None);
            }
        }
        finally
        {
            if (started < admitted)
            {
                _circuits.Leave(origin, admitted - started);
            }
        }

        return started;
    }

    /// <summary>Sends an entry, and those behind it in its lane while no lane waits for the place.</summary>
    private async Task RunLaneAsync(LeasedEntry leased, string origin, CancellationToken attempt, CancellationToken stop)
    {
        await _parts.Lanes.RunAsync(leased, () => CanContinueLane(origin, stop), attempt).ConfigureAwait(false);
        _parts.Leases.End(leased);
        _circuits.Leave(origin, 1);
        Interlocked.Increment(ref _ended);
        Interlocked.Decrement(ref _inFlight);
        _signal.Set(Triggers.Changed);
    }

    private bool CanContinueLane(string origin, CancellationToken stop) =>
        _noLaneIsWaiting == Volatile.Read(ref _changes)
            && !stop.IsCancellationRequested
            && _circuits.CanContinue(origin)
            && (!_parts.Sync.IsSet || !_isStarted || _waiters.AreServed);

    /// <summary>Waits for the attempts under way, then breaks them off; each gives its lease back. One that does not end is left.</summary>
    private async Task EndAttemptsAsync(CancellationTokenSource attempts)
    {
        using var grace = new CancellationTokenSource(_options.Replay.ShutdownGrace, _queue.Time);
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

            await _parts.Sync.EndAsync(attempts.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (OperationCanceledException)
        {
            ReplayMessages.AttemptsLeft(_logger, Queue, InFlight);
        }

        // They are the next run's.
        _signal.Set(taken);
    }

    private void OnCircuitChanged(bool isReached) => _signal.Set(isReached ? Triggers.OriginReachable : Triggers.Changed);

    /// <summary>Until the next poll although nothing happened, spread a little so that processes do not poll in step.</summary>
    private TimeSpan Interval() => _options.Replay.Interval * (1 + (0.1 * _options.Randomizer()));

    private TimeSpan Jitter() => _options.Replay.TriggerJitter * _options.Randomizer();

    private static DateTimeOffset Max(DateTimeOffset left, DateTimeOffset right) => left > right ? left : right;

    private static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;
}

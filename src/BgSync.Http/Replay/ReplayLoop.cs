using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>
/// Sends the entries of one queue. It leases the heads of lanes that are due, as many as there are free places, sends them side by
/// side, and sleeps until a trigger, a free place or the next due time.
/// </summary>
internal sealed partial class ReplayLoop : IQueueReplayer, IDisposable
{
    private readonly string _queue;
    private readonly BackgroundSyncOptions _options;
    private readonly IQueueStore _store;
    private readonly OriginCircuits _gates;
    private readonly LaneLeases _leases;
    private readonly RunReplayer _replayer;
    private readonly LaneReplayer _lanes;
    private readonly QueueHousekeeper _housekeeper;
    private readonly CredentialsPause _pause;
    private readonly TriggerOnlyBackoff _endless;
    private readonly SyncHook _sync;
    private readonly ReplayCounters _tally;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<ReplayLoop> _logger;
    private readonly ReplaySignal _signal;
    private readonly ReplayWaiters _waiters = new();
    private readonly SemaphoreSlim _running = new(1, 1);
    private readonly CancellationTokenSource _disposal = new();

    private int _inFlight;
    private int _laneReplays;
    private int _ended;
    private int _disposed;
    private int _changes;
    private volatile int _roomyAt = -1;
    private string _lastServed = "";
    private int _lookFailures;
    private bool _isStarted;

    public ReplayLoop(
        string queue,
        BackgroundSyncOptions options,
        IQueueStore store,
        OriginCircuits gates,
        LaneLeases leases,
        RunReplayer replayer,
        LaneReplayer lanes,
        QueueHousekeeper housekeeper,
        CredentialsPause pause,
        TriggerOnlyBackoff endless,
        SyncHook sync,
        ReplayCounters tally,
        TimeProvider timeProvider,
        ILogger<ReplayLoop> logger)
    {
        _queue = queue;
        _options = options;
        _store = store;
        _gates = gates;
        _leases = leases;
        _replayer = replayer;
        _lanes = lanes;
        _housekeeper = housekeeper;
        _pause = pause;
        _endless = endless;
        _sync = sync;
        _tally = tally;
        _timeProvider = timeProvider;
        _logger = logger;
        _signal = new ReplaySignal(timeProvider);
        _gates.Opened += OnGateOpened;
    }

    /// <summary>The name of the queue.</summary>
    public string Queue => _queue;

    /// <summary>How many entries it is sending.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Gives back what is under way, while the store is still there: the container disposes of it later.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _gates.Opened -= OnGateOpened;
            _disposal.Cancel();
            _running.Wait();
            _running.Dispose();
            _disposal.Dispose();
        }
    }

    public void Wake()
    {
        // Lanes that go on have to wait for the look that sees the change.
        Interlocked.Increment(ref _changes);
        _signal.Set(ReplayTriggers.Changed);
    }

    public void WakeForNew() => _signal.Set(ReplayTriggers.Changed | ReplayTriggers.Added);

    public void Trigger(ReplayTriggers trigger) => _signal.Set(trigger);

    public DateTimeOffset ClosedUntil(string origin) => _gates.ClosedUntil(origin, _options);

    public void ReportLive(Uri uri, bool reached, bool accepted)
    {
        if (!reached)
        {
            _gates.Unreachable(RequestSnapshot.OriginOf(uri), _options);
            return;
        }

        if (_gates.AnyShut)
        {
            _gates.Answered(RequestSnapshot.OriginOf(uri));
        }

        if (accepted && (_pause.Waits || _endless.AreKnown))
        {
            _signal.Set(ReplayTriggers.LiveSuccess);
        }
    }

    public async Task<string?> ReplayLaneAsync(string lane, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _laneReplays);
        try
        {
            return await _lanes.ReplayAsync(lane, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Increment(ref _ended);
            Interlocked.Decrement(ref _laneReplays);
            Wake();
        }
    }

    public Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken) =>
        ReplayAsync(ReplayTriggers.Manual, deadline, cancellationToken);

    /// <summary>Runs until it is stopped. A second run waits for the first to end.</summary>
    /// <param name="trigger">Why it begins.</param>
    /// <param name="shutdown">Stops it; what is under way has the grace then.</param>
    /// <param name="abort">Ends the grace.</param>
    public async Task RunAsync(ReplayTriggers trigger, CancellationToken shutdown, CancellationToken abort)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(shutdown, _disposal.Token);
        using var attempts = CancellationTokenSource.CreateLinkedTokenSource(abort, _disposal.Token);
        try
        {
            await _running.WaitAsync(stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        try
        {
            _isStarted = trigger == ReplayTriggers.Start;
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

    private async Task LoopAsync(ReplayTriggers trigger, CancellationToken attempt, CancellationToken stop)
    {
        _signal.Set(trigger);
        if (trigger == ReplayTriggers.Start)
        {
            await Task.Delay(Jitter(), _timeProvider, stop).ConfigureAwait(false);
        }

        var wait = TimeSpan.Zero;
        while (true)
        {
            var triggers = await _signal.WaitAsync(wait, stop).ConfigureAwait(false);
            wait = await LookAsync(triggers, attempt, stop).ConfigureAwait(false);
        }
    }

    private async Task<ReplaySummary> ReplayAsync(ReplayTriggers trigger, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var before = _tally.Now;
        var completed = await ReplayOnceAsync(trigger, deadline, cancellationToken).ConfigureAwait(false);
        var counts = await _store.CountAsync(_queue, cancellationToken).ConfigureAwait(false);
        var after = _tally.Now;
        return new(after.Delivered - before.Delivered, after.DeadLettered - before.DeadLettered, counts.Pending, completed);
    }

    private async Task<bool> ReplayOnceAsync(ReplayTriggers trigger, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var waiting = _waiters.Add();
        using var shutdown = new CancellationTokenSource();
        Task own;
        // Where it is not started, and when whoever runs the loop ends, this call runs it itself, for as long as it waits.
        using (ExecutionContext.SuppressFlow())
        {
            own = Task.Run(() => RunAsync(ReplayTriggers.Changed, shutdown.Token, shutdown.Token), CancellationToken.None);
        }

        _signal.Set(trigger);
        try
        {
            await waiting.WaitAsync(deadline, _timeProvider, cancellationToken).ConfigureAwait(false);
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

    /// <summary>Looks at the queue once.</summary>
    /// <returns>How long to sleep.</returns>
    private async Task<TimeSpan> LookAsync(ReplayTriggers triggers, CancellationToken attempt, CancellationToken stop)
    {
        try
        {
            if ((triggers & (ReplayTriggers.Manual | ReplayTriggers.Sync)) != 0)
            {
                _waiters.Begin();
            }

            if ((triggers & ~ReplayTriggers.Added) != ReplayTriggers.Changed)
            {
                LogTriggered(_queue, triggers);
            }

            // What ends during the look may leave something due that the look has not seen; the next one does.
            var ended = Volatile.Read(ref _ended);
            var changes = Volatile.Read(ref _changes);
            _roomyAt = -1;
            await PrepareAsync(triggers, stop).ConfigureAwait(false);
            var (wait, busy) = await _pause.HoldsAsync(triggers, stop).ConfigureAwait(false)
                ? (Interval(), false)
                : await PassAsync(triggers, changes, attempt, stop).ConfigureAwait(false);
            _lookFailures = 0;
            if (!busy && InFlight == 0 && Volatile.Read(ref _laneReplays) == 0 && Volatile.Read(ref _ended) == ended)
            {
                _waiters.Complete();
            }

            return wait;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            // Whatever it is, the loop goes on: the store may be back at the next look.
            LogLookFailed(e, _queue, e.Message);
            _waiters.Fail(e);
            return Backoff.Wait(++_lookFailures, _options.Retry.MinBackoff, _options.Retry.MaxBackoff, _options.Randomizer());
        }
    }

    /// <summary>Acts on what the triggers say before the queue is looked at.</summary>
    private async Task PrepareAsync(ReplayTriggers triggers, CancellationToken cancellationToken)
    {
        if (triggers.HasFlag(ReplayTriggers.Manual))
        {
            _gates.RetryAfter(TimeSpan.Zero, _options);
            await _store.ClearBackoffAsync(_queue, onlyEndless: false, cancellationToken).ConfigureAwait(false);
        }
        else if (triggers.HasFlag(ReplayTriggers.Network))
        {
            _gates.RetryAfter(Jitter(), _options);
        }

        await _endless.EndAsync(triggers, cancellationToken).ConfigureAwait(false);
        await _housekeeper.KeepAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Sends what is due, or has the application do so; whoever asks for a replay by hand gets the default one.</summary>
    /// <returns>How long to sleep, and whether something is under way elsewhere that lanes wait for.</returns>
    private async Task<(TimeSpan Wait, bool Busy)> PassAsync(
        ReplayTriggers triggers, int changes, CancellationToken attempt, CancellationToken stop)
    {
        if (!_sync.IsSet || !_isStarted || _waiters.AreServed)
        {
            return await FillAsync(changes, attempt, stop).ConfigureAwait(false);
        }

        var schedule = await _store.GetScheduleAsync(_queue, stop).ConfigureAwait(false);
        var dueAt = schedule.Select(origin => Max(origin.DueAt, ClosedUntil(origin.Origin)))
            .DefaultIfEmpty(DateTimeOffset.MaxValue).Min();
        return (Min(Interval(), _sync.Consider(triggers, dueAt, token => ReplayDueAsync(token, stop), Wake, stop)), false);
    }

    /// <summary>The default replay, for the application's own.</summary>
    private async Task<ReplaySummary> ReplayDueAsync(CancellationToken cancellationToken, CancellationToken stop)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stop);
        return await ReplayAsync(ReplayTriggers.Sync, Timeout.InfiniteTimeSpan, either.Token).ConfigureAwait(false);
    }

    /// <summary>Leases and sends as much as may be sent now.</summary>
    /// <returns>How long to sleep, and whether something is under way elsewhere that lanes wait for.</returns>
    private async Task<(TimeSpan Wait, bool Busy)> FillAsync(int changes, CancellationToken attempt, CancellationToken stop)
    {
        var wait = Interval();
        var busy = false;
        var isRoomy = true;
        var schedule = await _store.GetScheduleAsync(_queue, stop).ConfigureAwait(false);
        foreach (var (origin, dueAt) in InTurn(schedule))
        {
            var until = dueAt - _timeProvider.GetUtcNow();
            if (until > TimeSpan.Zero)
            {
                wait = Min(wait, until);
                continue;
            }

            var free = _options.Replay.MaxConcurrentLanes - InFlight;
            if (free <= 0)
            {
                return (wait, true);
            }

            var admitted = _gates.Admit(origin, free, _options, out until);
            if (admitted == 0)
            {
                var isProbed = until == Timeout.InfiniteTimeSpan;
                busy |= isProbed;
                isRoomy &= !isProbed;
                wait = isProbed ? wait : Min(wait, until);
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
                (wait, isRoomy) = (TimeSpan.Zero, false);
            }

            // Others wait for what a probe finds out.
            isRoomy &= admitted == free;
        }

        _roomyAt = isRoomy ? changes : -1;
        return (wait, busy);
    }

    /// <summary>Each origin gets its turn: one with many lanes does not keep the others waiting.</summary>
    private IEnumerable<OriginSchedule> InTurn(IReadOnlyList<OriginSchedule> schedule) => schedule
        .OrderBy(origin => string.CompareOrdinal(origin.Origin, _lastServed) <= 0)
        .ThenBy(static origin => origin.Origin, StringComparer.Ordinal);

    /// <returns>How many were leased.</returns>
    private async Task<int> SendDueAsync(string origin, int limit, CancellationToken attempt, CancellationToken stop)
    {
        var started = 0;
        try
        {
            foreach (var leased in await _leases.LeaseAsync(origin, limit).ConfigureAwait(false))
            {
                started++;
                Interlocked.Increment(ref _inFlight);
                _ = Task.Run(() => ReplayAsync(leased, origin, attempt, stop), CancellationToken.None);
            }
        }
        finally
        {
            if (started == 0)
            {
                _gates.ReturnProbe(origin);
            }
        }

        return started;
    }

    /// <summary>Sends an entry, and those behind it in its lane while nothing else waits for the place.</summary>
    private async Task ReplayAsync(LeasedEntry leased, string origin, CancellationToken attempt, CancellationToken stop)
    {
        await _replayer.ReplayAsync(leased, () => MayGoOn(origin, stop), attempt).ConfigureAwait(false);
        _leases.End(leased);
        // Whatever happened, a probe is never left behind unanswered.
        _gates.ReturnProbe(origin);
        Interlocked.Increment(ref _ended);
        Interlocked.Decrement(ref _inFlight);
        _signal.Set(ReplayTriggers.Changed);
    }

    private bool MayGoOn(string origin, CancellationToken stop) =>
        _roomyAt == Volatile.Read(ref _changes)
            && !stop.IsCancellationRequested
            && _gates.IsOpen(origin)
            && (!_sync.IsSet || !_isStarted || _waiters.AreServed);

    /// <summary>Waits for the attempts under way, then breaks them off; each gives its lease back.</summary>
    private async Task EndAttemptsAsync(CancellationTokenSource attempts)
    {
        using var grace = new CancellationTokenSource(_options.Replay.ShutdownGrace, _timeProvider);
        using var end = grace.Token.UnsafeRegister(static attempts => ((CancellationTokenSource)attempts!).Cancel(), attempts);
        while (InFlight > 0)
        {
            await _signal.WaitAsync(Timeout.InfiniteTimeSpan, CancellationToken.None).ConfigureAwait(false);
        }

        await _sync.EndAsync(attempts.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void OnGateOpened() => _signal.Set(ReplayTriggers.OriginReachable);

    /// <summary>Until the next look although nothing happened, spread a little so that processes do not look in step.</summary>
    private TimeSpan Interval() => _options.Replay.Interval * (1 + (0.1 * _options.Randomizer()));

    private TimeSpan Jitter() => _options.Replay.TriggerJitter * _options.Randomizer();

    private static DateTimeOffset Max(DateTimeOffset left, DateTimeOffset right) => left > right ? left : right;

    private static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;
}

namespace TestKit;

/// <summary>
/// A clock that stands still until it is told to <see cref="Advance"/>. Timers that fall due fire then, on the advancing thread, in
/// the order of their due times, each seeing its own due time as the present. A timer due at once fires when it is made.
/// </summary>
public sealed class FakeTimeProvider : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<FakeTimer> _timers = [];
    private readonly DateTimeOffset _start;
    private DateTimeOffset _now;
    private long _sequence;

    public FakeTimeProvider()
        : this(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero))
    {
    }

    public FakeTimeProvider(DateTimeOffset start)
    {
        _start = start;
        _now = start;
    }

    /// <summary>Raised with the new time whenever time has moved, before timers fire: for who keeps the time elsewhere.</summary>
    public event Action<DateTimeOffset>? Advanced;

    /// <summary>How many timers are waiting to fire.</summary>
    public int PendingTimers
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count;
            }
        }
    }

    /// <summary>When the next timer fires; <see langword="null"/> when none is waiting.</summary>
    public DateTimeOffset? NextTimerAt
    {
        get
        {
            lock (_lock)
            {
                return NextTimer()?.DueAt;
            }
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    public override long GetTimestamp() => (GetUtcNow() - _start).Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new FakeTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Lets time pass, and fires what falls due on the way.</summary>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        DateTimeOffset target;
        lock (_lock)
        {
            target = _now + by;
        }

        while (TakeDue(target) is { } timer)
        {
            Advanced?.Invoke(GetUtcNow());
            timer.Fire();
        }

        lock (_lock)
        {
            _now = target > _now ? target : _now;
        }

        Advanced?.Invoke(GetUtcNow());
    }

    private FakeTimer? TakeDue(DateTimeOffset target)
    {
        lock (_lock)
        {
            if (NextTimer() is not { } timer || timer.DueAt > target)
            {
                return null;
            }

            _now = timer.DueAt > _now ? timer.DueAt : _now;
            if (timer.Period > TimeSpan.Zero)
            {
                Schedule(timer, timer.DueAt + timer.Period);
            }
            else
            {
                _timers.Remove(timer);
            }

            return timer;
        }
    }

    private FakeTimer? NextTimer() =>
        _timers.Count == 0 ? null : _timers.MinBy(static timer => (timer.DueAt, timer.Sequence));

    private void Schedule(FakeTimer timer, DateTimeOffset dueAt)
    {
        timer.DueAt = dueAt;
        timer.Sequence = _sequence++;
        if (!_timers.Contains(timer))
        {
            _timers.Add(timer);
        }
    }

    private sealed class FakeTimer(FakeTimeProvider clock, TimerCallback callback, object? state) : ITimer
    {
        private bool _disposed;

        public DateTimeOffset DueAt { get; set; }

        public TimeSpan Period { get; private set; }

        public long Sequence { get; set; }

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            bool dueNow;
            lock (clock._lock)
            {
                if (_disposed)
                {
                    return false;
                }

                Period = period == Timeout.InfiniteTimeSpan ? TimeSpan.Zero : period;
                clock._timers.Remove(this);
                dueNow = dueTime == TimeSpan.Zero;
                if (dueTime != Timeout.InfiniteTimeSpan && (!dueNow || Period > TimeSpan.Zero))
                {
                    clock.Schedule(this, clock._now + (dueNow ? Period : dueTime));
                }
            }

            if (dueNow)
            {
                Fire();
            }

            return true;
        }

        public void Dispose()
        {
            lock (clock._lock)
            {
                _disposed = true;
                clock._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

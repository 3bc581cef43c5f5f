using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;

namespace TestKit;

/// <summary>A <see cref="FakeTimeProvider"/> that also tells which timers wait, so that a test can wait until others sleep.</summary>
public sealed class TestClock() : FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero))
{
    private readonly ConcurrentDictionary<TrackedTimer, DateTimeOffset> _dueTimes = new();

    /// <summary>How many timers are waiting to fire.</summary>
    public int PendingTimers => _dueTimes.Count;

    /// <summary>When the next timer fires; <see langword="null"/> when none is waiting.</summary>
    public DateTimeOffset? NextTimerAt => _dueTimes.Min(static timer => (DateTimeOffset?)timer.Value);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new TrackedTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Calls back with the new time whenever time has moved, before the timers that fall due.</summary>
    public IDisposable OnAdvanced(Action<DateTimeOffset> callback)
    {
        ITimer? nextStep = null;
        nextStep = CreateUntracked(Follow, null);
        Await();
        return nextStep;

        void Follow(object? state)
        {
            callback(GetUtcNow());
            Await();
        }

        // Only a timer that is due at once fires before one that is due after the smallest step.
        void Await() => nextStep!.Change(TimeSpan.FromTicks(1), Timeout.InfiniteTimeSpan);
    }

    private ITimer CreateUntracked(TimerCallback callback, object? state) =>
        base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    private sealed class TrackedTimer : ITimer
    {
        private readonly TestClock _clock;
        private readonly ITimer _timer;
        private TimeSpan _period;

        public TrackedTimer(TestClock clock, TimerCallback callback, object? state)
        {
            _clock = clock;
            _timer = clock.CreateUntracked(Fire, state);

            void Fire(object? fired)
            {
                Expire();
                callback(fired);
            }
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _period = period;
            Forget();
            if (dueTime >= TimeSpan.Zero)
            {
                _clock._dueTimes[this] = _clock.GetUtcNow() + dueTime;
            }

            return _timer.Change(dueTime, period);
        }

        public void Dispose()
        {
            _timer.Dispose();
            Forget();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Forget() => _clock._dueTimes.TryRemove(this, out _);

        private void Expire()
        {
            // A due time ahead is that of a change which the firing crossed.
            if (_clock._dueTimes.TryGetValue(this, out var dueTime) && dueTime <= _clock.GetUtcNow())
            {
                _ = _period > TimeSpan.Zero
                    ? _clock._dueTimes.TryUpdate(this, dueTime + _period, dueTime)
                    : _clock._dueTimes.TryRemove(new(this, dueTime));
            }
        }
    }
}

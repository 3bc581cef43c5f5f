namespace BgSync.Http.Diagnostics;

/// <summary>
/// The clock of the library: the system's, but never set back. When the system's clock is, this one goes on from where it was, at the
/// pace of the monotonic timer, so that no wait grows; when the system's clock jumps forward, this one follows.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class SteadyTime : TimeProvider
{
    private readonly TimeProvider _system;
    private readonly Lock _lock = new();
    private DateTimeOffset _now;
    private long _readAt;

    public SteadyTime(TimeProvider system)
    {
        _system = system;
        _now = system.GetUtcNow();
        _readAt = system.GetTimestamp();
    }

    /// <summary>
    /// The provider of the timers. A <see cref="CancellationTokenSource"/> that is made with the system's own has a cheaper timer than with
    /// any other provider.
    /// </summary>
    public TimeProvider Timers => _system;

    public override TimeZoneInfo LocalTimeZone => _system.LocalTimeZone;

    public override long TimestampFrequency => _system.TimestampFrequency;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            var readAt = _system.GetTimestamp();
            var steady = _now + _system.GetElapsedTime(_readAt, readAt);
            var system = _system.GetUtcNow();
            (_now, _readAt) = (system > steady ? system : steady, readAt);
            return _now;
        }
    }

    public override long GetTimestamp() => _system.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        _system.CreateTimer(callback, state, dueTime, period);
}

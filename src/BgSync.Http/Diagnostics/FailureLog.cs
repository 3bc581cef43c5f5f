namespace BgSync.Http.Diagnostics;

/// <summary>Keeps the failures of a store from flooding the log: the first is told, and then one a minute.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class FailureLog(TimeProvider time)
{
    private static readonly TimeSpan _interval = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private long? _toldAt;

    /// <summary>Whether a failure is to be told now.</summary>
    public bool IsToBeTold()
    {
        lock (_lock)
        {
            if (_toldAt is { } at && time.GetElapsedTime(at) < _interval)
            {
                return false;
            }

            _toldAt = time.GetTimestamp();
            return true;
        }
    }

    /// <summary>Says that the store works again, so that the next failure is told at once.</summary>
    public void Recover()
    {
        lock (_lock)
        {
            _toldAt = null;
        }
    }
}

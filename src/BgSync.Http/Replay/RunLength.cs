using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>
/// How many entries of a lane are leased together: as many as are sent in a moment. What is leased can not be changed by hand, nor
/// overtaken, and may be sent again when the process is killed; so a server that takes its time is sent one after another.
/// </summary>
internal sealed class RunLength(TimeProvider timeProvider)
{
    private const int Longest = 32;

    // Of the bodies, which are read with them.
    private const long Bytes = 128 * 1024;

    private static readonly TimeSpan _moment = TimeSpan.FromMilliseconds(50);

    private int _length = 1;
    private long _began;

    /// <summary>Whether those of a run that are left are to wait for the next one.</summary>
    public bool IsOver => timeProvider.GetElapsedTime(_began) >= _moment;

    /// <summary>Begins a run.</summary>
    public void Begin() => _began = timeProvider.GetTimestamp();

    /// <summary>What is to be leased after a run of which this many were sent.</summary>
    public NextLease After(int sent, string origin, TimeSpan duration)
    {
        _length = IsOver ? sent : Math.Min(Math.Max(_length, sent) * 2, Longest);
        return new(origin, _length, Bytes, duration);
    }
}

namespace BgSync.Http.Replay;

/// <summary>Counts how entries of a queue ended. Thread-safe.</summary>
internal sealed class ReplayCounters
{
    private long _delivered;
    private long _dead;

    public (long Delivered, long DeadLettered) Now => (Interlocked.Read(ref _delivered), Interlocked.Read(ref _dead));

    public void Delivered() => Interlocked.Increment(ref _delivered);

    public void Died() => Interlocked.Increment(ref _dead);
}

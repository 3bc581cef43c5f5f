namespace BgSync.Http.Outcomes;

/// <summary>Exponential backoff with full jitter: a wait between zero and the step, which doubles up to a limit.</summary>
/// <remarks>Full jitter spreads a fleet best
/// (<see href="https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/">Exponential Backoff And Jitter</see>).</remarks>
internal static class Backoff
{
    /// <param name="failures">How many failures there were, the last one included; 1 or more.</param>
    /// <param name="min">The first step.</param>
    /// <param name="max">The largest step.</param>
    /// <param name="random">From 0 up to 1.</param>
    public static TimeSpan Wait(int failures, TimeSpan min, TimeSpan max, double random)
    {
        var step = min.Ticks * Math.Pow(2, Math.Clamp(failures - 1, 0, 62));
        return TimeSpan.FromTicks((long)(Math.Min(step, max.Ticks) * random));
    }
}

using System.Diagnostics;

namespace BgSync.Http.Benchmarks.Measuring;

/// <summary>The work that a number of callers got done, and how long each call took.</summary>
internal sealed class Load
{
    private readonly long[] _ticks;
    private readonly TimeSpan _elapsed;

    private Load(long[] ticks, TimeSpan elapsed)
    {
        Array.Sort(ticks);
        _ticks = ticks;
        _elapsed = elapsed;
    }

    public double PerSecond => _ticks.Length / _elapsed.TotalSeconds;

    public double Seconds => _elapsed.TotalSeconds;

    /// <summary>The time of a call, in milliseconds, that this share of the calls stays below.</summary>
    public double Milliseconds(double share) =>
        Stopwatch.GetElapsedTime(0, _ticks[(int)Math.Min(_ticks.Length - 1, share * _ticks.Length)]).TotalMilliseconds;

    /// <summary>Has callers make calls side by side, each its next one when the last has returned.</summary>
    /// <param name="callers">How many callers.</param>
    /// <param name="calls">How many calls all of them make.</param>
    /// <param name="call">Makes the call of a number.</param>
    public static async Task<Load> RunAsync(int callers, int calls, Func<int, ValueTask> call)
    {
        var ticks = new long[calls];
        var next = -1;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Math.Min(callers, calls)).Select(_ => Task.Run(CallAsync)));
        return new(ticks, Stopwatch.GetElapsedTime(started));

        async Task CallAsync()
        {
            int number;
            while ((number = Interlocked.Increment(ref next)) < calls)
            {
                var before = Stopwatch.GetTimestamp();
                await call(number);
                ticks[number] = Stopwatch.GetTimestamp() - before;
            }
        }
    }
}

using System.Diagnostics;
using Xunit;

namespace TestKit;

/// <summary>Waits for what happens on another thread, in real time.</summary>
public static class Eventually
{
    private static readonly TimeSpan _deadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan _taskDeadline = 2 * _deadline;
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(10);

    /// <summary>Waits until <paramref name="condition"/> holds.</summary>
    /// <exception cref="TimeoutException">It did not in 30 seconds; the message says what was waited for.</exception>
    public static Task TrueAsync(Func<bool> condition, string what) => TrueAsync(condition, _deadline, () => what);

    /// <summary>Waits until <paramref name="condition"/> holds.</summary>
    /// <exception cref="TimeoutException">It did not in 30 seconds; the message says what was waited for.</exception>
    public static Task TrueAsync(Func<bool> condition, Func<string> what) => TrueAsync(condition, _deadline, what);

    /// <summary>Waits until <paramref name="condition"/> holds, no longer than <paramref name="deadline"/>.</summary>
    /// <exception cref="TimeoutException">It did not; the message says what was waited for.</exception>
    public static async Task TrueAsync(Func<bool> condition, TimeSpan deadline, Func<string> what)
    {
        var started = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(started) > deadline)
            {
                throw Vain(deadline, what());
            }

            await Task.Delay(_pause, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Waits for a task, longer than for a condition: those that it depends on may be waited for in the meantime.</summary>
    /// <exception cref="TimeoutException">It did not end in 60 seconds; the message says what was waited for.</exception>
    public static async Task<T> DoneAsync<T>(Task<T> task, string what)
    {
        try
        {
            return await task.WaitAsync(_taskDeadline, TestContext.Current.CancellationToken);
        }
        catch (TimeoutException) when (!task.IsCompleted)
        {
            throw Vain(_taskDeadline, what);
        }
    }

    private static TimeoutException Vain(TimeSpan deadline, string what) =>
        new($"Waited {deadline.TotalSeconds} s in vain for this: {what}.");
}

namespace BgSync.Http.Replay;

/// <summary>Collects triggers until the loop takes them. One that comes while the loop is busy is there when it polls next.</summary>
internal sealed class ReplaySignal(TimeProvider time)
{
    /// <summary>The triggers that make a store which has failed be asked again before its backoff ends.</summary>
    public const Triggers Urgent = Triggers.Start | Triggers.Network | Triggers.Manual | Triggers.Sync;

    /// <summary>The longest time that a timer takes.</summary>
    private static readonly TimeSpan _longest = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    private readonly Lock _lock = new();
    private Triggers _pending;
    private Triggers _awaited;
    private TaskCompletionSource? _waiter;

    /// <summary>Why a queue is polled. Triggers that come together are one.</summary>
    [Flags]
    internal enum Triggers
    {
        /// <summary>Time has passed.</summary>
        Timer = 0,

        /// <summary>The application has started.</summary>
        Start = 1,

        /// <summary>The network came up, or an address changed.</summary>
        Network = 2,

        /// <summary>A live request, or a probe, has reached an origin.</summary>
        OriginReachable = 4,

        /// <summary>A live request was accepted.</summary>
        LiveSuccess = 8,

        /// <summary>The application asks for it.</summary>
        Manual = 16,

        /// <summary>The queue has changed, or a lane is free.</summary>
        Changed = 32,

        /// <summary>The application's own replay asks for the default one.</summary>
        Sync = 64,

        /// <summary>An entry is new.</summary>
        Added = 128,
    }

    public void Set(Triggers trigger)
    {
        TaskCompletionSource? waiter = null;
        lock (_lock)
        {
            _pending |= trigger;
            if ((trigger & _awaited) != 0)
            {
                waiter = _waiter;
            }
        }

        waiter?.TrySetResult();
    }

    /// <summary>Waits for a trigger, <paramref name="timeout"/> at most, and takes all that came.</summary>
    /// <param name="timeout">The time; longer than a timer takes is cut to that.</param>
    /// <param name="awaited">The triggers that end the wait; the others are taken when it is over.</param>
    /// <param name="cancellationToken">Ends the wait with an exception.</param>
    public async Task<Triggers> WaitAsync(TimeSpan timeout, Triggers awaited, CancellationToken cancellationToken)
    {
        TaskCompletionSource? waiter = null;
        lock (_lock)
        {
            if ((_pending & awaited) == 0)
            {
                _waiter = waiter = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _awaited = awaited;
            }
        }

        if (waiter is not null)
        {
            await waiter.Task.WaitAsync(Limit(timeout), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        cancellationToken.ThrowIfCancellationRequested();
        lock (_lock)
        {
            var taken = _pending;
            (_pending, _waiter, _awaited) = (default, null, default);
            return taken;
        }
    }

    private static TimeSpan Limit(TimeSpan timeout) =>
        timeout == Timeout.InfiniteTimeSpan ? timeout : TimeSpan.FromTicks(Math.Clamp(timeout.Ticks, 0, _longest.Ticks));
}

using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace BgSync.Http.Replay;

/// <summary>
/// What this process knows of each origin's reachability. Being offline is a property of the origin, not of an entry: so it costs
/// no attempt and no write, one probe finds out for all that wait, and a network event ends the wait for all at once.
/// </summary>
/// <remarks>
/// Thread-safe. An origin that nothing is known of is sent one probe first. Queues share their backoff; one with fixed waits
/// (<see cref="BackgroundSyncRetryOptions.Delays"/>) counts its own, so that nobody else moves its schedule.
/// </remarks>
internal sealed class OriginCircuits(TimeProvider timeProvider)
{
    /// <summary>How long a probe is left alone: a network that comes up changes several times in a row.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, Gate> _gates = new(StringComparer.Ordinal);
    private int _shut;

    private enum State
    {
        Unknown,
        Probing,
        Open,
    }

    /// <summary>Raised when more may be sent than before.</summary>
    public event Action? Opened;

    /// <summary>Whether there may be an origin that is not open; a cheap answer for the path of every live request.</summary>
    public bool AnyShut => Volatile.Read(ref _shut) > 0;

    /// <summary>Whether an origin can be reached, as far as is known.</summary>
    public bool IsOpen(string origin)
    {
        var gate = GateOf(origin);
        lock (gate)
        {
            return gate.State == State.Open;
        }
    }

    /// <summary>How many entries may be sent to an origin now, up to <paramref name="wanted"/>; one if it is to be probed.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="wanted">One or more.</param>
    /// <param name="options">Whose waits apply.</param>
    /// <param name="wait">
    /// How long until another look makes sense; <see cref="Timeout.InfiniteTimeSpan"/> until a probe is answered.
    /// </param>
    public int Admit(string origin, int wanted, BackgroundSyncOptions options, out TimeSpan wait)
    {
        var gate = GateOf(origin);
        lock (gate)
        {
            wait = gate.WaitsOf(options).NotBefore - timeProvider.GetUtcNow();
            switch (gate.State)
            {
                case State.Open:
                    return wanted;
                case State.Unknown when wait <= TimeSpan.Zero:
                    gate.State = State.Probing;
                    gate.ProbedAt = timeProvider.GetUtcNow();
                    gate.Probe = new CancellationTokenSource();
                    return 1;
                case State.Probing:
                    wait = Timeout.InfiniteTimeSpan;
                    return 0;
                default:
                    return 0;
            }
        }
    }

    /// <summary>
    /// Cancelled when the network changes while an origin is being probed: the probe may hang in a network that is gone. A token
    /// that cannot be cancelled where nobody probes.
    /// </summary>
    public CancellationToken ProbeOf(string origin)
    {
        var gate = GateOf(origin);
        lock (gate)
        {
            return gate.State == State.Probing ? gate.Probe.Token : CancellationToken.None;
        }
    }

    /// <summary>Takes back an admission to probe that nobody used.</summary>
    public void ReturnProbe(string origin) => Change(origin, static gate =>
    {
        var wasProbing = gate.State == State.Probing;
        gate.State = wasProbing ? State.Unknown : gate.State;
        return wasProbing;
    });

    /// <summary>An answer came: the origin can be reached.</summary>
    public void Answered(string origin) => Change(origin, gate =>
    {
        var opens = gate.State != State.Open;
        gate.State = State.Open;
        foreach (var waits in gate.AllWaits)
        {
            waits.Restart();
        }

        return opens;
    });

    /// <summary>Nothing came back, and nobody can say why: the next entry is a probe again.</summary>
    public void Silent(string origin) => Change(origin, static gate =>
    {
        gate.State = State.Unknown;
        return true;
    });

    /// <summary>The origin could not be reached: nothing is sent to it until the wait is over.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="options">Whose waits apply.</param>
    public void Unreachable(string origin, BackgroundSyncOptions options) => Change(origin, gate =>
    {
        var now = timeProvider.GetUtcNow();
        var waits = gate.WaitsOf(options);
        if (waits.IsEndless)
        {
            // Whoever failed was not sent by the schedule, which has ended: another one begins.
            waits.Restart();
        }

        // Many that fail together are one failure.
        if (gate.State != State.Unknown || waits.NotBefore <= now)
        {
            var wait = options.WaitAfter(++waits.Failures);
            waits.NotBefore = wait == TimeSpan.MaxValue ? DateTimeOffset.MaxValue : now + wait;
            gate.State = State.Unknown;
        }

        return false;
    });

    /// <summary>Until when nothing is sent to an origin; <see cref="DateTimeOffset.MaxValue"/> until a trigger comes.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="options">Whose waits apply.</param>
    public DateTimeOffset ClosedUntil(string origin, BackgroundSyncOptions options)
    {
        if (!_gates.TryGetValue(origin, out var gate))
        {
            return default;
        }

        lock (gate)
        {
            return gate.WaitsOf(options).NotBefore;
        }
    }

    /// <summary>Ends the waits of a queue that have no end of their own: its schedule begins anew.</summary>
    public void EndEndlessWaits(BackgroundSyncOptions options)
    {
        foreach (var origin in _gates.Keys)
        {
            Change(origin, gate =>
            {
                if (gate.WaitsOf(options) is { IsEndless: true } waits)
                {
                    waits.Restart();
                }

                return false;
            });
        }
    }

    /// <summary>The network has changed: every origin is probed again after <paramref name="wait"/>, and its waits begin anew.</summary>
    /// <param name="wait">How long it may take.</param>
    /// <param name="options">Whose waits are meant.</param>
    public void RetryAfter(TimeSpan wait, BackgroundSyncOptions options)
    {
        var now = timeProvider.GetUtcNow();
        var at = now + wait;
        foreach (var origin in _gates.Keys)
        {
            var hanging = default(CancellationTokenSource);
            Change(origin, gate =>
            {
                hanging = gate.State == State.Probing && now - gate.ProbedAt >= _patience ? gate.Probe : null;
                var waits = gate.WaitsOf(options);
                waits.Failures = 0;
                waits.NotBefore = waits.NotBefore < at ? waits.NotBefore : at;
                return gate.State != State.Open;
            });
            hanging?.Cancel();
        }
    }

    private Gate GateOf(string origin) => _gates.GetOrAdd(origin, static (_, gates) =>
    {
        Interlocked.Increment(ref gates._shut);
        return new Gate();
    }, this);

    private void Change(string origin, Func<Gate, bool> change)
    {
        var gate = GateOf(origin);
        bool raise;
        lock (gate)
        {
            var wasOpen = gate.State == State.Open;
            raise = change(gate);
            var isOpen = gate.State == State.Open;
            if (wasOpen != isOpen)
            {
                Interlocked.Add(ref _shut, isOpen ? -1 : 1);
            }
        }

        if (raise)
        {
            Opened?.Invoke();
        }
    }

    [SuppressMessage("Design", "CA1001", Justification = "A source without a timer or a wait handle holds nothing to be disposed of.")]
    private sealed class Gate
    {
        private readonly Waits _shared = new();
        private readonly Dictionary<BackgroundSyncOptions, Waits> _own = [];

        public State State;
        public DateTimeOffset ProbedAt;
        public CancellationTokenSource Probe = new();

        public IEnumerable<Waits> AllWaits => _own.Values.Prepend(_shared);

        public Waits WaitsOf(BackgroundSyncOptions options)
        {
            if (options.Retry.Delays.Count == 0)
            {
                return _shared;
            }

            if (!_own.TryGetValue(options, out var own))
            {
                _own.Add(options, own = new());
            }

            return own;
        }
    }

    /// <summary>What the failures of an origin have come to.</summary>
    private sealed class Waits
    {
        public int Failures;
        public DateTimeOffset NotBefore;

        public bool IsEndless => NotBefore == DateTimeOffset.MaxValue;

        public void Restart() => (Failures, NotBefore) = (0, default);
    }
}

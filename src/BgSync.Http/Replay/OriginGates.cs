using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using BgSync.Http.Outcomes;

namespace BgSync.Http.Replay;

/// <summary>
/// What this process knows of each origin's reachability. Being offline is a property of the origin, not of an entry: so it costs
/// no attempt and no write, one probe finds out for all that wait, and a network event ends the wait for all at once.
/// </summary>
/// <remarks>Thread-safe. An origin that nothing is known of is sent one probe first.</remarks>
internal sealed class OriginGates(TimeProvider timeProvider)
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

    /// <summary>How many entries may be sent to an origin now, up to <paramref name="wanted"/>; one if it is to be probed.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="wanted">One or more.</param>
    /// <param name="wait">How long until another look makes sense; <see cref="Timeout.InfiniteTimeSpan"/> until a probe is answered.</param>
    public int Admit(string origin, int wanted, out TimeSpan wait)
    {
        var gate = GateOf(origin);
        lock (gate)
        {
            wait = gate.NotBefore - timeProvider.GetUtcNow();
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
        (gate.State, gate.Failures, gate.NotBefore) = (State.Open, 0, default);
        return opens;
    });

    /// <summary>Nothing came back, and nobody can say why: the next entry is a probe again.</summary>
    public void Silent(string origin) => Change(origin, static gate =>
    {
        gate.State = State.Unknown;
        return true;
    });

    /// <summary>The origin could not be reached: nothing is sent to it until the backoff is over.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="options">Whose backoff applies.</param>
    public void Unreachable(string origin, BackgroundSyncOptions options) => Change(origin, gate =>
    {
        var now = timeProvider.GetUtcNow();
        // Many that fail together are one failure.
        if (gate.State != State.Unknown || gate.NotBefore <= now)
        {
            gate.NotBefore = now + Backoff.Wait(++gate.Failures, options.MinBackoff, options.MaxBackoff, options.Randomizer());
            gate.State = State.Unknown;
        }

        return false;
    });

    /// <summary>Until when nothing is sent to an origin.</summary>
    public DateTimeOffset ClosedUntil(string origin) => _gates.TryGetValue(origin, out var gate) ? gate.NotBefore : default;

    /// <summary>The network has changed: every origin is probed again after <paramref name="wait"/>, with a fresh backoff.</summary>
    public void RetryAfter(TimeSpan wait)
    {
        var now = timeProvider.GetUtcNow();
        var at = now + wait;
        foreach (var origin in _gates.Keys)
        {
            var hanging = default(CancellationTokenSource);
            Change(origin, gate =>
            {
                hanging = gate.State == State.Probing && now - gate.ProbedAt >= _patience ? gate.Probe : null;
                gate.Failures = 0;
                gate.NotBefore = gate.NotBefore < at ? gate.NotBefore : at;
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
        public State State;
        public int Failures;
        public DateTimeOffset NotBefore;
        public DateTimeOffset ProbedAt;
        public CancellationTokenSource Probe = new();
    }
}

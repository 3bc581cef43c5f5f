using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace BgSync.Http.Connectivity;

/// <summary>
/// The circuit of each origin: closed while traffic flows, open while the origin is held back, half-open while one probe is under way.
/// Being offline is a property of the origin, not of an entry, so it costs no attempt and no write, and a network event ends the wait
/// of all entries at once.
/// </summary>
/// <remarks>
/// Thread-safe. The circuit of an origin that was never asked is open, and its first entry is the probe. Queues share the backoff of an
/// origin; a queue with fixed waits (<see cref="BackgroundSyncRetryOptions.Delays"/>) counts its own, so that no other queue moves its
/// schedule. The number of requests at a time grows from one with each success and halves on a time-out, so that a slow server is not
/// buried (<see href="https://www.rfc-editor.org/rfc/rfc5681#section-3.1">RFC 5681, 3.1</see>).
/// </remarks>
internal sealed class OriginCircuits(TimeProvider time)
{
    /// <summary>The rejections in a row after which an origin is believed to reject everything.</summary>
    public const int MaxRejections = 10;

    /// <summary>The time that a probe is left alone: a network that comes up changes several times in a row.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(1);

    /// <summary>The time that the body of a response gets after its headers.</summary>
    private static readonly TimeSpan _bodyPatience = TimeSpan.FromSeconds(5);

    /// <summary>The default lifetime of a chain of handlers, and so of its connections.</summary>
    private static readonly TimeSpan _connectionLifetime = TimeSpan.FromMinutes(2);

    private readonly ConcurrentDictionary<string, Circuit> _circuits = new(StringComparer.Ordinal);
    private int _notClosed;

    private enum State
    {
        Open,
        HalfOpen,
        Closed,
    }

    /// <summary>Raised when more may be sent than before; <see langword="true"/> where an origin can be reached again.</summary>
    public event Action<bool>? Changed;

    /// <summary>Whether there may be a circuit that is not closed; a cheap answer for the path of every live request.</summary>
    public bool AnyNotClosed => Volatile.Read(ref _notClosed) > 0;

    /// <summary>Admits requests to an origin, each to be given back by <see cref="Leave"/>.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="wanted">One or more.</param>
    /// <param name="maxConnections">The most that the client has connections for.</param>
    /// <param name="options">The queue whose waits apply.</param>
    /// <param name="wait">
    /// How long until another look makes sense; <see cref="Timeout.InfiniteTimeSpan"/> until a request under way has ended.
    /// </param>
    /// <returns>How many are admitted; one when the origin is to be probed.</returns>
    public int Admit(string origin, int wanted, int maxConnections, BackgroundSyncOptions options, out TimeSpan wait)
    {
        var circuit = CircuitOf(origin);
        lock (circuit)
        {
            wait = circuit.WaitsOf(options).Left(time);
            var admitted = 0;
            if (circuit.State == State.Open && wait <= TimeSpan.Zero)
            {
                circuit.State = State.HalfOpen;
                circuit.ProbedAt = time.GetTimestamp();
                circuit.Probe = new CancellationTokenSource();
                admitted = 1;
            }
            else if (circuit.State == State.Closed)
            {
                admitted = Math.Clamp(Math.Min((int)circuit.Limit, maxConnections) - circuit.InFlight, 0, wanted);
            }

            wait = circuit.State == State.Open ? wait : Timeout.InfiniteTimeSpan;
            circuit.InFlight += admitted;
            circuit.IsWanted |= admitted < wanted && circuit.State == State.Closed;
            return admitted;
        }
    }

    /// <summary>Gives admissions back. A probe that brought no answer leaves the circuit open.</summary>
    public void Leave(string origin, int admitted) => Change(origin, circuit =>
    {
        circuit.InFlight -= admitted;
        if (circuit.State == State.HalfOpen && admitted > 0)
        {
            circuit.State = State.Open;
        }

        return circuit.HasRoomForWanted();
    });

    /// <summary>Whether a lane may go on with its next entry.</summary>
    public bool CanContinue(string origin)
    {
        var circuit = CircuitOf(origin);
        lock (circuit)
        {
            return circuit.State == State.Closed && circuit.InFlight <= (int)circuit.Limit;
        }
    }

    /// <summary>Whether the one request under way to an origin is the only one.</summary>
    public bool IsAlone(string origin)
    {
        var circuit = CircuitOf(origin);
        lock (circuit)
        {
            return circuit.InFlight <= 1;
        }
    }

    /// <summary>
    /// Cancelled when the network changes while an origin is being probed: the probe may hang in a network that is gone. A token
    /// that cannot be cancelled while the circuit is closed.
    /// </summary>
    public CancellationToken ProbeOf(string origin)
    {
        var circuit = CircuitOf(origin);
        lock (circuit)
        {
            return circuit.State == State.HalfOpen ? circuit.Probe.Token : CancellationToken.None;
        }
    }

    /// <summary>
    /// Whether a request to an origin timed out of late, so that those that follow should not take the same connection: for 2 min, the
    /// time after which the factory of clients has other connections.
    /// </summary>
    public bool HasTimedOut(string origin)
    {
        var circuit = CircuitOf(origin);
        lock (circuit)
        {
            return circuit.TimedOutAt is { } at && time.GetElapsedTime(at) < _connectionLifetime;
        }
    }

    /// <summary>Whether an origin may be sent <c>Expect: 100-continue</c>: it never answered 417 to it.</summary>
    public bool TakesExpect(string origin) => CircuitOf(origin).TakesExpect;

    /// <summary>Says that an origin answered 417 to <c>Expect: 100-continue</c>.</summary>
    public void RefuseExpect(string origin) => CircuitOf(origin).TakesExpect = false;

    /// <summary>
    /// The time that the body of an origin's response gets: 5 s, and half as long after each body that did not come, so that a lane does
    /// not wait for every body of a server that never ends one.
    /// </summary>
    public TimeSpan BodyPatience(string origin) => _bodyPatience / (1 << Volatile.Read(ref CircuitOf(origin).UnendedBodies));

    /// <summary>Says whether the body of a response came in its time.</summary>
    public void BodyRead(string origin, bool hasEnded)
    {
        var circuit = CircuitOf(origin);
        Volatile.Write(ref circuit.UnendedBodies, hasEnded ? 0 : Math.Min(circuit.UnendedBodies + 1, 6));
    }

    /// <summary>Acts on the outcome of an attempt.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="report">The outcome, as far as it concerns the origin.</param>
    /// <param name="requested">The wait that the server asked for (<c>Retry-After</c>), which holds the origin.</param>
    /// <param name="options">The queue whose waits apply.</param>
    /// <param name="begunAt">When the attempt began, as a timestamp.</param>
    /// <returns><see langword="false"/> when a rejection is not to be believed, because the origin rejects everything.</returns>
    public bool Report(
        string origin, OriginReport report, TimeSpan? requested, BackgroundSyncOptions options, long begunAt)
    {
        var isBelieved = true;
        Change(origin, circuit =>
        {
            circuit.TimedOutAt = report is OriginReport.Silent or OriginReport.Interrupted ? time.GetTimestamp() : circuit.TimedOutAt;
            switch (report)
            {
                case OriginReport.Succeeded:
                    circuit.Rejections = 0;
                    circuit.Grow();
                    return Close(circuit);
                case OriginReport.Answered:
                    return requested is { } delay ? Open(circuit, delay) : Close(circuit);
                case OriginReport.Rejected when IsDoubted(circuit, options):
                    isBelieved = false;
                    return Fail(circuit, options, hold: true);
                case OriginReport.Rejected:
                    return Close(circuit);
                case OriginReport.Unreachable:
                    return Fail(circuit, options, hold: false);
                case OriginReport.Held:
                    return Fail(circuit, options, hold: true);
                case OriginReport.Congested:
                case OriginReport.Silent when circuit is { State: State.Closed, InFlight: > 1 }:
                    circuit.Shrink(begunAt, time.GetTimestamp());
                    return false;
                case OriginReport.Interrupted:
                case OriginReport.Silent when circuit.State == State.Closed:
                    // The next entry is a probe.
                    (circuit.State, circuit.Limit) = (State.Open, 1);
                    return true;
                case OriginReport.Silent:
                    return Fail(circuit, options, hold: false);
                default:
                    return false;
            }
        });
        return isBelieved;
    }

    /// <summary>Says how an origin answered a live request.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="statusCode">The status; <see langword="null"/> when the origin could not be reached.</param>
    /// <param name="options">The queue whose waits apply.</param>
    public void ReportLive(string origin, int? statusCode, BackgroundSyncOptions options)
    {
        if (statusCode is null)
        {
            Change(origin, circuit => Fail(circuit, options, hold: false));
        }
        else if (AnyNotClosed && statusCode < 500)
        {
            Change(origin, circuit =>
            {
                // A server that rejects everything is believed to do so until it takes something.
                var isProof = circuit.Rejections > MaxRejections ? statusCode is >= 200 and < 300 : statusCode is not (401 or 407);
                if (circuit.IsRequested || (circuit.IsHeld && !isProof))
                {
                    return false;
                }

                circuit.Rejections = isProof ? 0 : circuit.Rejections;
                return Close(circuit);
            });
        }
    }

    /// <summary>The time until which nothing is sent to an origin; <see cref="DateTimeOffset.MaxValue"/> until a trigger comes.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="options">The queue whose waits apply.</param>
    public DateTimeOffset ClosedUntil(string origin, BackgroundSyncOptions options)
    {
        if (!_circuits.TryGetValue(origin, out var circuit))
        {
            return default;
        }

        lock (circuit)
        {
            var waits = circuit.WaitsOf(options);
            return waits.IsEndless ? DateTimeOffset.MaxValue
                : waits.Left(time) is var left && left > TimeSpan.Zero ? time.GetUtcNow() + left
                : default;
        }
    }

    /// <summary>Ends the waits of a queue that have no end of their own: its schedule begins anew.</summary>
    public void EndEndlessWaits(BackgroundSyncOptions options) => ChangeAll(circuit =>
    {
        if (circuit.WaitsOf(options) is { IsEndless: true } waits)
        {
            waits.Restart();
        }

        return false;
    });

    /// <summary>
    /// Probes every origin again after <paramref name="wait"/>, because the network has changed, or somebody asks for it. A wait that a
    /// server asked for is kept.
    /// </summary>
    /// <param name="wait">How long it may take.</param>
    /// <param name="options">The queue whose waits are meant.</param>
    public void RetryAfter(TimeSpan wait, BackgroundSyncOptions options)
    {
        List<CancellationTokenSource> hanging = [];
        ChangeAll(circuit =>
        {
            if (circuit.State == State.HalfOpen && time.GetElapsedTime(circuit.ProbedAt) >= _patience)
            {
                hanging.Add(circuit.Probe);
            }

            var waits = circuit.WaitsOf(options);
            if (!circuit.IsRequested)
            {
                waits.Failures = 0;
                waits.Shorten(wait, time);
            }

            return circuit.State != State.Closed;
        });
        hanging.ForEach(static probe => probe.Cancel());
    }

    private static bool Close(Circuit circuit)
    {
        var opens = circuit.State != State.Closed;
        circuit.State = State.Closed;
        circuit.IsHeld = circuit.IsRequested = false;
        foreach (var waits in circuit.AllWaits)
        {
            waits.Restart();
        }

        return opens || circuit.HasRoomForWanted();
    }

    /// <summary>Opens a circuit for the wait that the server asked for: nothing but time ends it.</summary>
    private bool Open(Circuit circuit, TimeSpan delay)
    {
        circuit.State = State.Open;
        circuit.IsRequested = true;
        circuit.Limit = 1;
        foreach (var waits in circuit.AllWaits)
        {
            waits.Begin(delay, time);
        }

        return false;
    }

    /// <summary>Opens a circuit for its backoff.</summary>
    private bool Fail(Circuit circuit, BackgroundSyncOptions options, bool hold)
    {
        var waits = circuit.WaitsOf(options);
        if (waits.IsEndless)
        {
            // The request that failed was not sent by the schedule, which has ended: another one begins.
            waits.Restart();
        }

        // Many that fail together are one failure.
        if (circuit.State != State.Open || waits.Left(time) <= TimeSpan.Zero)
        {
            waits.Begin(options.WaitAfter(++waits.Failures), time);
            circuit.State = State.Open;
            circuit.Limit = 1;
            circuit.IsRequested = false;
        }

        circuit.IsHeld |= hold;
        return false;
    }

    /// <summary>Counts a rejection, and says whether the origin rejects everything, for a time that is short enough to be a fault.</summary>
    private bool IsDoubted(Circuit circuit, BackgroundSyncOptions options)
    {
        if (circuit.Rejections++ == 0)
        {
            circuit.RejectsSince = time.GetTimestamp();
        }

        return circuit.Rejections > MaxRejections && time.GetElapsedTime(circuit.RejectsSince) < options.Retry.RejectionGrace;
    }

    private Circuit CircuitOf(string origin) => _circuits.GetOrAdd(origin, static (_, circuits) =>
    {
        Interlocked.Increment(ref circuits._notClosed);
        return new Circuit();
    }, this);

    private void ChangeAll(Func<Circuit, bool> change)
    {
        foreach (var origin in _circuits.Keys)
        {
            Change(origin, change);
        }
    }

    private void Change(string origin, Func<Circuit, bool> change)
    {
        var circuit = CircuitOf(origin);
        bool raise, wasClosed, isClosed;
        lock (circuit)
        {
            wasClosed = circuit.State == State.Closed;
            raise = change(circuit);
            isClosed = circuit.State == State.Closed;
            if (wasClosed != isClosed)
            {
                Interlocked.Add(ref _notClosed, isClosed ? -1 : 1);
            }
        }

        if (raise)
        {
            Changed?.Invoke(!wasClosed && isClosed);
        }
    }

    [SuppressMessage("Design", "CA1001", Justification = "A source without a timer or a wait handle holds nothing to be disposed of.")]
    private sealed class Circuit
    {
        public State State;
        public long ProbedAt;
        public CancellationTokenSource Probe = new();
        public bool IsHeld;
        public bool IsWanted;
        public bool IsRequested;
        public long? TimedOutAt;
        public volatile bool TakesExpect = true;
        public int UnendedBodies;
        public int InFlight;
        public double Limit = 1;
        public int Rejections;
        public long RejectsSince;

        private readonly Waits _shared = new();
        private readonly Dictionary<BackgroundSyncOptions, Waits> _own = [];
        private double _threshold = double.PositiveInfinity;
        private long _shrunkAt = long.MinValue;

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

        /// <summary>Whether somebody who was not admitted can be now; tells it once.</summary>
        public bool HasRoomForWanted()
        {
            var hasRoom = IsWanted && State == State.Closed && InFlight < (int)Limit;
            IsWanted &= !hasRoom;
            return hasRoom;
        }

        /// <summary>Lets one more request be sent at a time after each success, and beyond the threshold after as many as are sent.</summary>
        public void Grow()
        {
            if (InFlight >= (int)Limit)
            {
                Limit += Limit < _threshold ? 1 : 1 / Limit;
            }
        }

        /// <summary>Halves the number of requests at a time. Those that were begun before count as one.</summary>
        public void Shrink(long begunAt, long now)
        {
            if (begunAt > _shrunkAt)
            {
                Limit = _threshold = Math.Max(1, Limit / 2);
                _shrunkAt = now;
            }
        }
    }

    /// <summary>The failures of an origin, and the wait after the last one.</summary>
    private sealed class Waits
    {
        private long _began;
        private TimeSpan _length;

        public int Failures { get; set; }

        public bool IsEndless => _length == TimeSpan.MaxValue;

        public TimeSpan Left(TimeProvider time) => IsEndless ? TimeSpan.MaxValue : _length - time.GetElapsedTime(_began);

        public void Begin(TimeSpan length, TimeProvider time) => (_began, _length) = (time.GetTimestamp(), length);

        public void Shorten(TimeSpan length, TimeProvider time)
        {
            if (Left(time) > length)
            {
                Begin(length, time);
            }
        }

        public void Restart() => (Failures, _length) = (0, TimeSpan.Zero);
    }
}

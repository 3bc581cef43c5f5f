using System.Collections.Immutable;

namespace BgSync.Http.Connectivity;

/// <summary>
/// The circuit of one origin, as a value: each event makes another one of it. Pure: no I/O and no clock, and times are those since a start
/// that the caller chooses.
/// </summary>
/// <remarks>
/// Queues share the backoff of an origin; a queue with fixed waits (<see cref="BackgroundSyncRetryOptions.Delays"/>) counts its own, so
/// that no other queue moves its schedule. A wait that the server asked for holds all of them.
/// </remarks>
internal readonly record struct OriginCircuit
{
    /// <summary>The rejections in a row after which an origin is believed to reject everything.</summary>
    public const int MaxRejections = 10;

    /// <summary>The time that a probe is left alone: a network that comes up changes several times in a row.</summary>
    private static readonly TimeSpan _probePatience = TimeSpan.FromSeconds(1);

    /// <summary>The time that the body of a response gets after its headers.</summary>
    private static readonly TimeSpan _bodyPatience = TimeSpan.FromSeconds(5);

    /// <summary>The default lifetime of a chain of handlers, and so of its connections.</summary>
    private static readonly TimeSpan _connectionLifetime = TimeSpan.FromMinutes(2);

    /// <summary>Begins open and without a wait: the first entry is the probe.</summary>
    public OriginCircuit()
    {
    }

    internal enum CircuitState
    {
        Open,
        HalfOpen,
        Closed,
    }

    /// <summary>Whether the circuit is closed (traffic flows), open (the origin is held back) or half-open (one probe is under way).</summary>
    public CircuitState State { get; private init; }

    /// <summary>Whether more may be sent than before, or earlier, so that those who wait are to be told.</summary>
    public bool HasNews { get; init; }

    /// <summary>Whether the origin may be sent <c>Expect: 100-continue</c>: it never answered 417 to it.</summary>
    public bool TakesExpect { get; init; } = true;

    /// <summary>Whether a lane may go on with its next entry.</summary>
    public bool CanContinue => State == CircuitState.Closed && InFlight <= (int)Limit;

    /// <summary>Whether the one request under way is the only one.</summary>
    public bool IsAlone => InFlight <= 1;

    /// <summary>
    /// The time that the body of a response gets: 5 s, and half as long after each body that did not come, so that a lane does not wait
    /// for every body of a server that never ends one.
    /// </summary>
    public TimeSpan BodyPatience => _bodyPatience / (1 << UnendedBodies);

    private int InFlight { get; init; }

    private double Limit { get; init; } = 1;

    /// <summary>The limit at the last time-out, beyond which it grows slowly.</summary>
    private double Threshold { get; init; } = double.PositiveInfinity;

    private TimeSpan ShrunkAt { get; init; } = TimeSpan.MinValue;

    private TimeSpan ProbedAt { get; init; }

    private TimeSpan? TimedOutAt { get; init; }

    /// <summary>The end of the wait that the server asked for: nothing but time ends it.</summary>
    private TimeSpan? RequestedUntil { get; init; }

    /// <summary>Whether the server wants credentials, or rejects everything.</summary>
    private bool IsHeld { get; init; }

    /// <summary>Whether somebody was not admitted who waits for room.</summary>
    private bool IsWanted { get; init; }

    private int Rejections { get; init; }

    private TimeSpan RejectsSince { get; init; }

    private int UnendedBodies { get; init; }

    /// <summary>The backoff of each queue that has fixed waits, and the one that all others share.</summary>
    private ImmutableDictionary<object, Backoff> Backoffs { get; init; } = ImmutableDictionary<object, Backoff>.Empty;

    /// <summary>The time before which nothing is sent; <see cref="TimeSpan.MaxValue"/> until a trigger comes.</summary>
    /// <param name="options">The queue whose waits apply.</param>
    public TimeSpan OpenUntil(BackgroundSyncOptions options) => RequestedUntil ?? BackoffOf(options).Until;

    /// <summary>Whether the probe has been under way for so long that it may hang in a network that is gone.</summary>
    public bool IsProbeHanging(TimeSpan now) => State == CircuitState.HalfOpen && now - ProbedAt >= _probePatience;

    /// <summary>
    /// Whether a request timed out of late, so that those that follow should not take the same connection: for 2 min, the time after
    /// which the factory of clients has other connections.
    /// </summary>
    public bool HasTimedOut(TimeSpan now) => now - TimedOutAt < _connectionLifetime;

    /// <summary>Whether a rejection is not to be believed: the origin rejects everything, for a time short enough to be a fault.</summary>
    public bool IsDoubted(BackgroundSyncOptions options, TimeSpan now) =>
        Rejections > MaxRejections && now - RejectsSince < options.Retry.RejectionGrace;

    /// <summary>Admits requests: one when the origin is to be probed, and as many as there is room for when the circuit is closed.</summary>
    public OriginCircuit Admit(int wanted, int maxConnections, BackgroundSyncOptions options, TimeSpan now, out int admitted)
    {
        if (State == CircuitState.Open && OpenUntil(options) <= now)
        {
            admitted = 1;
            return this with { State = CircuitState.HalfOpen, ProbedAt = now, InFlight = InFlight + 1 };
        }

        var isClosed = State == CircuitState.Closed;
        admitted = isClosed ? Math.Clamp(Math.Min((int)Limit, maxConnections) - InFlight, 0, wanted) : 0;
        return this with { InFlight = InFlight + admitted, IsWanted = IsWanted || (isClosed && admitted < wanted) };
    }

    /// <summary>Takes admissions back. A probe that brought no answer leaves the circuit open.</summary>
    public OriginCircuit Leave(int admitted) => TellOfRoom(this with
    {
        InFlight = InFlight - admitted,
        State = State == CircuitState.HalfOpen && admitted > 0 ? CircuitState.Open : State,
    });

    /// <summary>The circuit after an attempt.</summary>
    /// <param name="report">The outcome, as far as it concerns the origin.</param>
    /// <param name="requested">The wait that the server asked for (<c>Retry-After</c>), which holds the origin.</param>
    /// <param name="options">The queue whose waits apply.</param>
    /// <param name="begunAt">When the attempt began.</param>
    /// <param name="now">The time.</param>
    public OriginCircuit After(
        OriginReport report, TimeSpan? requested, BackgroundSyncOptions options, TimeSpan begunAt, TimeSpan now)
    {
        var isClosed = State == CircuitState.Closed;
        var circuit = this with
        {
            TimedOutAt = report is OriginReport.Silent or OriginReport.Interrupted ? now : TimedOutAt,
            RejectsSince = report == OriginReport.Rejected && Rejections == 0 ? now : RejectsSince,
            Rejections = report switch
            {
                OriginReport.Succeeded => 0,
                OriginReport.Rejected => Rejections + 1,
                _ => Rejections,
            },
        };
        return report switch
        {
            OriginReport.Succeeded => circuit.Grow().Close(),
            OriginReport.Answered => requested is { } delay ? circuit.Open(delay, now) : circuit.Close(),
            OriginReport.Rejected => circuit.IsDoubted(options, now) ? circuit.Hold(options, now) : circuit.Close(),
            OriginReport.Held => circuit.Hold(options, now),
            OriginReport.Congested => circuit.Shrink(begunAt, now),
            OriginReport.Silent when isClosed && !IsAlone => circuit.Shrink(begunAt, now),
            // The next entry is a probe.
            OriginReport.Silent when isClosed => circuit with { State = CircuitState.Open, Limit = 1, HasNews = true },
            OriginReport.Interrupted => circuit with { State = CircuitState.Open, Limit = 1, HasNews = true },
            OriginReport.Silent or OriginReport.Unreachable => circuit.Fail(options, now),
            _ => circuit,
        };
    }

    /// <summary>The circuit after a live request.</summary>
    /// <param name="statusCode">The status of its response; <see langword="null"/> when the origin could not be reached.</param>
    /// <param name="options">The queue whose waits apply.</param>
    /// <param name="now">The time.</param>
    public OriginCircuit AfterLive(int? statusCode, BackgroundSyncOptions options, TimeSpan now)
    {
        if (statusCode is null)
        {
            return Fail(options, now);
        }

        // A server that rejects everything is believed to do so until it takes something.
        var isProof = Rejections > MaxRejections ? statusCode is >= 200 and < 300 : statusCode is not (401 or 407);
        return statusCode >= 500 || RequestedUntil is not null || (IsHeld && !isProof)
            ? this
            : (this with { Rejections = isProof ? 0 : Rejections }).Close();
    }

    /// <summary>The circuit after the body of a response has come, or has not come in its time.</summary>
    public OriginCircuit AfterBody(bool hasEnded) => this with { UnendedBodies = hasEnded ? 0 : Math.Min(UnendedBodies + 1, 6) };

    /// <summary>Ends the wait of a queue that has no end of its own: its schedule begins anew.</summary>
    public OriginCircuit EndTriggerOnlyBackoff(BackgroundSyncOptions options) =>
        BackoffOf(options).IsEndless ? this with { Backoffs = Backoffs.Remove(KeyOf(options)) } : this;

    /// <summary>Has the origin probed again after a wait. A wait that the server asked for is kept.</summary>
    public OriginCircuit RetryAfter(TimeSpan wait, BackgroundSyncOptions options, TimeSpan now)
    {
        var (before, at) = (BackoffOf(options).Until, now + wait);
        return this with
        {
            HasNews = State != CircuitState.Closed,
            Backoffs = RequestedUntil is null ? Backoffs.SetItem(KeyOf(options), new(Failures: 0, before < at ? before : at)) : Backoffs,
        };
    }

    private static object KeyOf(BackgroundSyncOptions options) => options.Retry.Delays.Count == 0 ? nameof(OriginCircuit) : options;

    private static TimeSpan Add(TimeSpan now, TimeSpan wait) => wait < TimeSpan.MaxValue - now ? now + wait : TimeSpan.MaxValue;

    /// <summary>Tells somebody who was not admitted, once, that there is room.</summary>
    private static OriginCircuit TellOfRoom(OriginCircuit circuit)
    {
        var hasRoom = circuit is { IsWanted: true, State: CircuitState.Closed } && circuit.InFlight < (int)circuit.Limit;
        return circuit with { IsWanted = circuit.IsWanted && !hasRoom, HasNews = circuit.HasNews || hasRoom };
    }

    private Backoff BackoffOf(BackgroundSyncOptions options) => Backoffs.GetValueOrDefault(KeyOf(options));

    private OriginCircuit Close() => TellOfRoom(this with
    {
        HasNews = State != CircuitState.Closed,
        State = CircuitState.Closed,
        IsHeld = false,
        RequestedUntil = null,
        Backoffs = Backoffs.Clear(),
    });

    /// <summary>Opens the circuit for the wait that the server asked for.</summary>
    private OriginCircuit Open(TimeSpan delay, TimeSpan now) =>
        this with { State = CircuitState.Open, Limit = 1, RequestedUntil = Add(now, delay) };

    private OriginCircuit Hold(BackgroundSyncOptions options, TimeSpan now) => Fail(options, now) with { IsHeld = true };

    /// <summary>Opens the circuit for its backoff. Many that fail together are one failure.</summary>
    private OriginCircuit Fail(BackgroundSyncOptions options, TimeSpan now)
    {
        // A request that fails in an endless wait was not sent by the schedule, which has ended: another one begins.
        var backoff = BackoffOf(options) is { IsEndless: false } last ? last : default;
        if (State == CircuitState.Open && (RequestedUntil ?? backoff.Until) > now)
        {
            return this;
        }

        var failures = backoff.Failures + 1;
        return this with
        {
            State = CircuitState.Open,
            Limit = 1,
            RequestedUntil = null,
            Backoffs = Backoffs.SetItem(KeyOf(options), new(failures, Add(now, options.WaitAfter(failures)))),
        };
    }

    /// <summary>Lets one more request be sent at a time after each success, and beyond the threshold after as many as are sent.</summary>
    private OriginCircuit Grow() => InFlight >= (int)Limit ? this with { Limit = Limit + (Limit < Threshold ? 1 : 1 / Limit) } : this;

    /// <summary>Halves the number of requests at a time. Those that were begun before count as one.</summary>
    private OriginCircuit Shrink(TimeSpan begunAt, TimeSpan now)
    {
        var half = Math.Max(1, Limit / 2);
        return begunAt > ShrunkAt ? this with { Limit = half, Threshold = half, ShrunkAt = now } : this;
    }

    /// <summary>The failures of an origin, and the end of the wait after the last one.</summary>
    private readonly record struct Backoff(int Failures, TimeSpan Until)
    {
        public bool IsEndless => Until == TimeSpan.MaxValue;
    }
}

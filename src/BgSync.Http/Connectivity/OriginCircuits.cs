using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using static BgSync.Http.Connectivity.OriginCircuit;

namespace BgSync.Http.Connectivity;

/// <summary>
/// The circuit of each origin: closed while traffic flows, open while the origin is held back, half-open while one probe is under way.
/// Being offline is a property of the origin, not of an entry, so it costs no attempt and no write, and a network event ends the wait
/// of all entries at once.
/// </summary>
/// <remarks>
/// Thread-safe. The number of requests at a time grows from one with each success and halves on a time-out, so that a slow server is not
/// buried (<see href="https://www.rfc-editor.org/rfc/rfc5681#section-3.1">RFC 5681, 3.1</see>).
/// </remarks>
internal sealed class OriginCircuits(TimeProvider time)
{
    private readonly ConcurrentDictionary<string, Place> _places = new(StringComparer.Ordinal);
    private readonly long _start = time.GetTimestamp();
    private int _notClosed;

    /// <summary>Raised when more may be sent than before; <see langword="true"/> where an origin can be reached again.</summary>
    public event Action<bool>? Changed;

    /// <summary>Whether there may be a circuit that is not closed; a cheap answer for the path of every live request.</summary>
    public bool AnyNotClosed => Volatile.Read(ref _notClosed) > 0;

    private TimeSpan Now => time.GetElapsedTime(_start);

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
        var now = Now;
        var admitted = 0;
        var circuit = Change(origin, circuit => circuit.Admit(wanted, maxConnections, options, now, out admitted));
        wait = circuit.State == CircuitState.Open ? circuit.OpenUntil(options) - now : Timeout.InfiniteTimeSpan;
        return admitted;
    }

    /// <summary>Gives admissions back. A probe that brought no answer leaves the circuit open.</summary>
    public void Leave(string origin, int admitted) => Change(origin, circuit => circuit.Leave(admitted));

    /// <summary>The circuit of an origin, as it is now.</summary>
    public OriginCircuit Of(string origin)
    {
        var place = PlaceOf(origin);
        lock (place)
        {
            return place.Circuit;
        }
    }

    /// <summary>Whether a request to an origin timed out of late, so that those that follow should not take the same connection.</summary>
    public bool HasTimedOut(string origin) => Of(origin).HasTimedOut(Now);

    /// <summary>
    /// Cancelled when the network changes while an origin is being probed: the probe may hang in a network that is gone. A token
    /// that cannot be cancelled while the circuit is closed.
    /// </summary>
    public CancellationToken ProbeOf(string origin)
    {
        var place = PlaceOf(origin);
        lock (place)
        {
            return place.Circuit.State == CircuitState.HalfOpen ? place.Probe.Token : CancellationToken.None;
        }
    }

    /// <summary>Says that an origin answered 417 to <c>Expect: 100-continue</c>.</summary>
    public void RefuseExpect(string origin) => Change(origin, static circuit => circuit with { TakesExpect = false });

    /// <summary>Says whether the body of a response came in its time.</summary>
    public void BodyRead(string origin, bool hasEnded) => Change(origin, circuit => circuit.AfterBody(hasEnded));

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
        var (begun, now) = (time.GetElapsedTime(_start, begunAt), Now);
        var circuit = Change(origin, circuit => circuit.After(report, requested, options, begun, now));
        return report != OriginReport.Rejected || !circuit.IsDoubted(options, now);
    }

    /// <summary>Says how an origin answered a live request.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="statusCode">The status; <see langword="null"/> when the origin could not be reached.</param>
    /// <param name="options">The queue whose waits apply.</param>
    public void ReportLive(string origin, int? statusCode, BackgroundSyncOptions options)
    {
        if (statusCode is null || AnyNotClosed)
        {
            Change(origin, circuit => circuit.AfterLive(statusCode, options, Now));
        }
    }

    /// <summary>The time until which nothing is sent to an origin; <see cref="DateTimeOffset.MaxValue"/> until a trigger comes.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="options">The queue whose waits apply.</param>
    public DateTimeOffset OpenUntil(string origin, BackgroundSyncOptions options)
    {
        // An origin that nothing was sent to needs no circuit yet.
        var until = _places.ContainsKey(origin) ? Of(origin).OpenUntil(options) : default;
        return until == TimeSpan.MaxValue ? DateTimeOffset.MaxValue
            : until - Now is var left && left > TimeSpan.Zero ? time.GetUtcNow() + left
            : default;
    }

    /// <summary>Ends the waits of a queue that have no end of their own: its schedule begins anew.</summary>
    public void EndTriggerOnlyBackoffs(BackgroundSyncOptions options)
    {
        foreach (var origin in _places.Keys)
        {
            Change(origin, circuit => circuit.EndTriggerOnlyBackoff(options));
        }
    }

    /// <summary>
    /// Probes every origin again after <paramref name="wait"/>, because the network has changed, or somebody asks for it. A wait that a
    /// server asked for is kept, and a probe that may hang is broken off.
    /// </summary>
    /// <param name="wait">How long it may take.</param>
    /// <param name="options">The queue whose waits are meant.</param>
    public void RetryAfter(TimeSpan wait, BackgroundSyncOptions options)
    {
        var now = Now;
        foreach (var (origin, place) in _places)
        {
            CancellationTokenSource? hanging = null;
            Change(origin, circuit =>
            {
                hanging = circuit.IsProbeHanging(now) ? place.Probe : null;
                return circuit.RetryAfter(wait, options, now);
            });
            hanging?.Cancel();
        }
    }

    private Place PlaceOf(string origin) => _places.GetOrAdd(origin, static (_, circuits) =>
    {
        Interlocked.Increment(ref circuits._notClosed);
        return new Place();
    }, this);

    private OriginCircuit Change(string origin, Func<OriginCircuit, OriginCircuit> change)
    {
        var place = PlaceOf(origin);
        OriginCircuit before, after;
        lock (place)
        {
            before = place.Circuit;
            after = change(before);
            place.Circuit = after with { HasNews = false };
            if (before.State != after.State)
            {
                OnStateChanged(place, before.State, after.State);
            }
        }

        if (after.HasNews)
        {
            Changed?.Invoke(before.State != CircuitState.Closed && after.State == CircuitState.Closed);
        }

        return after;
    }

    private void OnStateChanged(Place place, CircuitState before, CircuitState after)
    {
        if (after == CircuitState.HalfOpen)
        {
            place.Probe = new CancellationTokenSource();
        }

        if (before == CircuitState.Closed || after == CircuitState.Closed)
        {
            Interlocked.Add(ref _notClosed, after == CircuitState.Closed ? -1 : 1);
        }
    }

    /// <summary>The place of a circuit, which is locked while the circuit changes.</summary>
    [SuppressMessage("Design", "CA1001", Justification = "A source without a timer or a wait handle holds nothing to be disposed of.")]
    private sealed class Place
    {
        public OriginCircuit Circuit { get; set; } = new();

        public CancellationTokenSource Probe { get; set; } = new();
    }
}

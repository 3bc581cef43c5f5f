using System.Collections.Concurrent;
using BgSync.Http.Connectivity;
using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Leases the lanes of a queue that are due, has them sent side by side, and knows which of them this process is sending.</summary>
/// <remarks>
/// One lease is taken after another, so that who finds a lane leased knows whether this process has it. Polls follow one another; all else
/// is thread-safe.
/// </remarks>
internal sealed class LaneDispatcher(QueueContext queue, OriginCircuits circuits, ReplayPipeline pipeline, LaneRunner runner)
{
    private readonly BackgroundSyncOptions _options = queue.Options;
    private readonly KeyedLock _turns = new();
    private readonly ConcurrentDictionary<string, Sending> _sending = new(StringComparer.Ordinal);
    private int _inFlight;
    private int _drains;
    private int _ended;
    private int _changes;
    private int _endedBefore;
    private int _changesBefore;

    /// <summary>The count of changes at a poll that found no lane waiting for a place; -1 when one may be.</summary>
    private volatile int _noLaneIsWaiting = -1;

    private string _lastServed = "";

    /// <summary>Raised when a lane has been sent, so that there is a place for another one.</summary>
    public event Action? LaneEnded;

    /// <summary>How many lanes are being sent.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>
    /// Whether nothing is being sent, and nothing was since the poll began: an attempt that ended meanwhile may have left something due
    /// that the poll has not seen.
    /// </summary>
    public bool IsIdle => InFlight == 0 && Volatile.Read(ref _drains) == 0 && Volatile.Read(ref _ended) == _endedBefore;

    /// <summary>Says that the queue has changed: lanes that continue wait for the poll that sees the change.</summary>
    public void NoteChange() => Interlocked.Increment(ref _changes);

    /// <summary>Says that a poll begins.</summary>
    public void BeginPoll()
    {
        _endedBefore = Volatile.Read(ref _ended);
        _changesBefore = Volatile.Read(ref _changes);
        _noLaneIsWaiting = -1;
    }

    /// <summary>Leases and sends as much as may be sent now.</summary>
    /// <param name="abort">Breaks the attempts off.</param>
    /// <param name="stop">After it no lane continues.</param>
    /// <returns>How long to sleep, and whether something is under way elsewhere that lanes wait for.</returns>
    public async Task<(TimeSpan Wait, bool IsBusy)> DispatchAsync(CancellationToken abort, CancellationToken stop)
    {
        var wait = TimeSpan.MaxValue;
        var isBusy = false;
        var noLaneIsWaiting = true;
        foreach (var (origin, dueAt) in RoundRobin(await queue.Store.GetScheduleAsync(queue.Name, stop).ConfigureAwait(false)))
        {
            var until = dueAt - queue.Time.GetUtcNow();
            if (until > TimeSpan.Zero)
            {
                wait = Min(wait, until);
                // The store counts in milliseconds: what is due at once may be due within the next one.
                isBusy |= until <= TimeSpan.FromMilliseconds(1);
                continue;
            }

            var free = _options.Replay.MaxConcurrentLanes - InFlight;
            if (free <= 0)
            {
                return (wait, true);
            }

            var admitted = circuits.Admit(origin, free, pipeline.MaxConnections(), _options, out until);
            if (admitted == 0)
            {
                var isUnderWay = until == Timeout.InfiniteTimeSpan;
                isBusy |= isUnderWay;
                noLaneIsWaiting &= !isUnderWay;
                wait = isUnderWay ? wait : Min(wait, until);
                continue;
            }

            _lastServed = origin;
            var sent = await SendDueAsync(origin, admitted, abort, stop).ConfigureAwait(false);
            if (sent == 0)
            {
                // Another process was faster.
                wait = Min(wait, _options.Retry.MinBackoff);
            }
            else if (sent == free)
            {
                // Whether anything waits for a place is not known yet.
                (wait, noLaneIsWaiting) = (TimeSpan.Zero, false);
            }

            // Other lanes wait for a probe, or for a place in the circuit.
            noLaneIsWaiting &= sent < admitted || admitted == free;
        }

        _noLaneIsWaiting = noLaneIsWaiting ? _changesBefore : -1;
        return (wait, isBusy);
    }

    /// <summary>
    /// Sends the entries of one lane until it is empty or an entry stays, because a live request is to follow them: that attempt is made
    /// in the place of the live one.
    /// </summary>
    /// <returns>Why some are left; <see langword="null"/> when none is.</returns>
    public async Task<string?> DrainAsync(string lane, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _drains);
        try
        {
            if (await queue.Store.GetPauseAsync(queue.Name, cancellationToken).ConfigureAwait(false) is { Cause: PauseCause.Application })
            {
                return "the queue is paused";
            }

            while (await LeaseLaneAsync(lane, cancellationToken).ConfigureAwait(false) is { } leased)
            {
                if (!await RunAsync(leased, static () => false, cancellationToken).ConfigureAwait(false))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    return $"entry {leased.Lease.EntryId} could not be delivered";
                }
            }

            return await queue.Store.HasEntriesAsync(queue.Name, lane, cancellationToken).ConfigureAwait(false)
                ? "its first entry waits as the server or its caller asked, or for another entry, or is being sent by another process"
                : null;
        }
        finally
        {
            Interlocked.Increment(ref _ended);
            Interlocked.Decrement(ref _drains);
            NoteChange();
            LaneEnded?.Invoke();
        }
    }

    private static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;

    /// <summary>Each origin gets its turn: one with many lanes does not keep the others waiting.</summary>
    private IEnumerable<OriginSchedule> RoundRobin(IReadOnlyList<OriginSchedule> schedule) => schedule
        .OrderBy(origin => string.CompareOrdinal(origin.Origin, _lastServed) <= 0)
        .ThenBy(static origin => origin.Origin, StringComparer.Ordinal);

    /// <summary>Leases and sends the heads of lanes that are due.</summary>
    /// <returns>How many lanes were leased.</returns>
    private async Task<int> SendDueAsync(string origin, int admitted, CancellationToken abort, CancellationToken stop)
    {
        IReadOnlyList<LeasedEntry> due = [];
        try
        {
            // Not to be cancelled: what is leased must be known, or nobody gives it back.
            using var turn = await _turns.TakeAsync(queue.Name, CancellationToken.None).ConfigureAwait(false);
            due = await queue.Store.LeaseAsync(queue.Name, origin, admitted, _options.Replay.LeaseDuration, CancellationToken.None)
                .ConfigureAwait(false);
            foreach (var leased in due)
            {
                NoteSending(leased);
                Interlocked.Increment(ref _inFlight);
                _ = Task.Run(() => SendLaneAsync(leased, origin, abort, stop), CancellationToken.None);
            }
        }
        finally
        {
            if (due.Count < admitted)
            {
                circuits.Leave(origin, admitted - due.Count);
            }
        }

        return due.Count;
    }

    /// <summary>Sends an entry, and those behind it in its lane while no lane waits for the place.</summary>
    private async Task SendLaneAsync(LeasedEntry leased, string origin, CancellationToken abort, CancellationToken stop)
    {
        await RunAsync(leased, () => CanContinueLane(origin, stop), abort).ConfigureAwait(false);
        circuits.Leave(origin, 1);
        Interlocked.Increment(ref _ended);
        Interlocked.Decrement(ref _inFlight);
        LaneEnded?.Invoke();
    }

    private bool CanContinueLane(string origin, CancellationToken stop) =>
        _noLaneIsWaiting == Volatile.Read(ref _changes) && !stop.IsCancellationRequested && circuits.Of(origin).CanContinue;

    /// <summary>Leases the head of a lane, whatever its backoff says, once this process does not send it already.</summary>
    /// <returns><see langword="null"/> when the lane is empty, waits as it was asked to, or is leased by another process.</returns>
    private async Task<LeasedEntry?> LeaseLaneAsync(string lane, CancellationToken cancellationToken)
    {
        while (true)
        {
            Sending? sending;
            using (await _turns.TakeAsync(queue.Name, cancellationToken).ConfigureAwait(false))
            {
                if (!_sending.TryGetValue(lane, out sending))
                {
                    var leased = await queue.Store.LeaseLaneAsync(queue.Name, lane, _options.Replay.LeaseDuration, CancellationToken.None)
                        .ConfigureAwait(false);
                    NoteSending(leased);
                    return leased;
                }
            }

            await sending.Ended.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The lane of an entry that cannot be read is not known, but nothing is sent of it either.</summary>
    private void NoteSending(LeasedEntry? leased)
    {
        if (leased?.Entry is { Lane: var lane })
        {
            _sending[lane] = new(leased.Lease);
        }
    }

    private async Task<bool> RunAsync(LeasedEntry leased, Func<bool> canContinue, CancellationToken abort)
    {
        var hasLeftLane = await runner.RunAsync(leased, canContinue, abort).ConfigureAwait(false);
        if (leased.Entry is { Lane: var lane } && _sending.TryGetValue(lane, out var sending) && sending.Lease == leased.Lease)
        {
            _sending.TryRemove(lane, out _);
            sending.Ended.SetResult();
        }

        return hasLeftLane;
    }

    private sealed class Sending(Lease lease)
    {
        public Lease Lease => lease;

        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

using System.Collections.Concurrent;
using BgSync.Http.Queue;
using BgSync.Http.Storage;

namespace BgSync.Http.Replay;

/// <summary>Leases the entries of a queue, and knows which lanes this process is sending.</summary>
/// <remarks>Thread-safe. One lease is taken after another, so that who finds a lane leased knows whether this process has it.</remarks>
internal sealed class LaneLeases(QueueContext queue)
{
    private readonly KeyedLock _turns = new();
    private readonly ConcurrentDictionary<string, Sending> _sending = new(StringComparer.Ordinal);

    /// <summary>
    /// Leases the heads of lanes that are due. Not to be cancelled: what is leased must be known, or nobody gives it back.
    /// </summary>
    public async Task<IReadOnlyList<LeasedEntry>> LeaseAsync(string origin, int limit)
    {
        using var turn = await _turns.TakeAsync(queue.Name, CancellationToken.None).ConfigureAwait(false);
        var leased = await queue.Store.LeaseAsync(queue.Name, origin, limit, queue.Options.Replay.LeaseDuration, CancellationToken.None).ConfigureAwait(false);
        foreach (var entry in leased)
        {
            Begin(entry);
        }

        return leased;
    }

    /// <summary>Leases the head of a lane, whatever its backoff says, once this process does not send it already.</summary>
    /// <returns><see langword="null"/> when the lane is empty, waits as it was asked to, or is leased by another process.</returns>
    public async Task<LeasedEntry?> LeaseLaneAsync(string lane, CancellationToken cancellationToken)
    {
        while (true)
        {
            using (await _turns.TakeAsync(queue.Name, cancellationToken).ConfigureAwait(false))
            {
                if (!_sending.ContainsKey(lane))
                {
                    var leased = await queue.Store.LeaseLaneAsync(queue.Name, lane, queue.Options.Replay.LeaseDuration, CancellationToken.None)
                        .ConfigureAwait(false);
                    if (leased is not null)
                    {
                        Begin(leased);
                    }

                    return leased;
                }
            }

            if (_sending.TryGetValue(lane, out var sending))
            {
                await sending.Ended.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Says that a leased entry is not being sent any more.</summary>
    public void End(LeasedEntry leased)
    {
        if (leased.Entry is { Lane: var lane } && _sending.TryGetValue(lane, out var sending) && sending.Lease == leased.Lease)
        {
            _sending.TryRemove(lane, out _);
            sending.Ended.SetResult();
        }
    }

    /// <summary>The lane of an entry that cannot be read is not known, but nothing is sent of it either.</summary>
    private void Begin(LeasedEntry leased)
    {
        if (leased.Entry is { Lane: var lane })
        {
            _sending[lane] = new(leased.Lease);
        }
    }

    private sealed class Sending(Lease lease)
    {
        public Lease Lease => lease;

        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

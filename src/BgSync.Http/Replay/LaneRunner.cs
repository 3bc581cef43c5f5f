using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Replay;

/// <summary>Sends the leased entries of a lane, one after another, and continues with the next ones of the lane.</summary>
internal sealed class LaneRunner(QueueContext queue, ReplayAttempt attempt, Settler settler, ILogger logger)
{
    /// <summary>Never throws: a failure is logged, and the lease runs out by itself.</summary>
    /// <param name="first">The leased head of a lane.</param>
    /// <param name="canContinue">Asked when an entry is delivered: whether the next one of its lane is sent at once.</param>
    /// <param name="abort">Breaks the attempt off and gives back the entries that are leased.</param>
    /// <returns>Whether the last entry that was tried has left its lane.</returns>
    public async Task<bool> RunAsync(LeasedEntry first, Func<bool> canContinue, CancellationToken abort)
    {
        var length = new RunLength(queue.Time);
        IReadOnlyList<LeasedEntry> leased = [first];
        try
        {
            var hasLeftLane = false;
            while (leased.Count > 0)
            {
                (hasLeftLane, leased) = await SendAsync(leased, length, canContinue, abort).ConfigureAwait(false);
            }

            return hasLeftLane;
        }
        catch (QueueStoreException e) when (abort.IsCancellationRequested)
        {
            ReplayMessages.NotReleased(logger, e, queue.Name, leased[0].Lease.EntryId, FailureText.Of(e));
        }
        catch (Exception e)
        {
            ReplayMessages.AttemptLost(logger, e, queue.Name, leased[0].Lease.EntryId, FailureText.Of(e));
        }

        return false;
    }

    /// <returns>Whether the last entry that was tried has left its lane, and the entries that were leased to continue with.</returns>
    private async Task<Completion> SendAsync(
        IReadOnlyList<LeasedEntry> leased, RunLength length, Func<bool> canContinue, CancellationToken abort)
    {
        var run = new LeasedRun(queue, settler, leased[0].Lease, abort);
        await using var running = run.ConfigureAwait(false);
        length.Begin();
        for (var sent = 0; ;)
        {
            var entry = leased[sent];
            if (await SendAsync(entry, run).ConfigureAwait(false) is { } hasLeftLane)
            {
                return new(hasLeftLane, []);
            }

            sent++;
            if (!canContinue())
            {
                return new(await run.RemoveAllAsync(rest: null).ConfigureAwait(false), []);
            }

            if (sent == leased.Count || length.IsOver)
            {
                var next = length.After(sent, entry.Entry!.Request.Origin, queue.Options.Replay.LeaseDuration);
                return await run.LeaseNextAsync(next).ConfigureAwait(false);
            }

            if (!run.BeginRemoval(leased[sent].Lease))
            {
                return new(false, []);
            }
        }
    }

    /// <returns>Whether the entry has left its lane, when it was not delivered: the run ends with it.</returns>
    private async Task<bool?> SendAsync(LeasedEntry leased, LeasedRun run)
    {
        var began = queue.Time.GetTimestamp();
        Settlement settlement;
        try
        {
            settlement = leased.IsReadable
                ? await attempt.SendAsync(leased.Entry, leased.Body, run.Attempt).ConfigureAwait(false)
                : new Settlement.DeadLettered(DeadLetterCause.Unreadable, leased.Damage);
        }
        catch (Exception)
        {
            // Whatever it is, the entries that were delivered before are not sent again.
            await run.RemoveAllAsync(leased.Lease).ConfigureAwait(false);
            throw;
        }

        var took = queue.Time.GetElapsedTime(began);
        if (settlement is Settlement.Delivered delivered)
        {
            run.Add(leased, delivered, took);
            return null;
        }

        return await run.SettleAsync(leased, settlement, took).ConfigureAwait(false);
    }

    /// <summary>
    /// How many entries of a lane are leased together: as many as are sent in a moment. A leased entry can neither be changed by hand nor
    /// overtaken, and may be sent again when the process is killed; so a server that takes its time is sent one after another.
    /// </summary>
    private sealed class RunLength(TimeProvider time)
    {
        private const int Longest = 32;

        // Of the bodies, which are read with their entries.
        private const long Bytes = 128 * 1024;

        private static readonly TimeSpan _moment = TimeSpan.FromMilliseconds(50);

        private int _length = 1;
        private long _began;

        /// <summary>Whether the entries of a run that are left wait for the next run.</summary>
        public bool IsOver => time.GetElapsedTime(_began) >= _moment;

        /// <summary>Begins a run.</summary>
        public void Begin() => _began = time.GetTimestamp();

        /// <summary>The lease that follows a run of which this many were sent.</summary>
        public NextLease After(int sent, string origin, TimeSpan duration)
        {
            _length = IsOver ? sent : Math.Min(Math.Max(_length, sent) * 2, Longest);
            return new(origin, _length, Bytes, duration);
        }
    }
}

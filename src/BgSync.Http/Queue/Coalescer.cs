using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging;

namespace BgSync.Http.Queue;

/// <summary>
/// Puts a request into the queue as <see cref="CoalescingRule"/> says. In this process requests of one key are put in one after
/// another, so that the second of two finds the first.
/// </summary>
internal sealed partial class Coalescer(
    string queue,
    BackgroundSyncOptions options,
    IQueueStore store,
    EntryIntake intake,
    EntryEvents events,
    TimeProvider timeProvider,
    ILogger<Coalescer> logger)
{
    /// <summary>
    /// How long the application's function may take, and how long a request waits for others of its key that it takes so long for.
    /// </summary>
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(30);

    private readonly ILogger<Coalescer> _logger = logger;
    private readonly KeyedLock _turns = new();

    /// <inheritdoc cref="EntryIntake.AddAsync"/>
    public Task<EnqueueResult> AddAsync(WatchedRequest request, LiveFailure? failure, CancellationToken cancellationToken) =>
        options.GetCoalescing() is { } rule && request.CoalesceKey is { } key
            ? rule.Merge is { } merge
                ? MergeAsync(request, key, merge, failure, cancellationToken)
                : ApplyAsync(request, key, rule.Always, failure, cancellationToken)
            : intake.AddAsync(request, QueueEnd.Back, failure, cancellationToken);

    private async Task<EnqueueResult> ApplyAsync(
        WatchedRequest request, string key, Coalescing always, LiveFailure? failure, CancellationToken cancellationToken)
    {
        // What needs no place needs no body either, which may be large.
        var dropped = always is Coalescing.KeepFirst or Coalescing.CancelOut
            ? await intake.WatchAsync(token => TryDropAsync(request, always, failure, token), cancellationToken).ConfigureAwait(false)
            : null;
        return dropped ?? await intake.StoreAsync(
            request,
            QueueEnd.Back,
            failure,
            async (entry, body, token) =>
            {
                // Not before the body is in the store: the turn of a large one would be long.
                using var turn = await _turns.TakeAsync(key, token).ConfigureAwait(false);
                while (await FindAsync(request, token).ConfigureAwait(false) is { } queued
                    && Judge(always, queued, request, failure) is var how and not Coalescing.Append)
                {
                    var placement = how == Coalescing.ReplaceQueued
                        ? await TryReplaceAsync(queued, entry, body, token).ConfigureAwait(false)
                        : await TryDropAsync(queued, request.Captured.ToSnapshot(), how, token).ConfigureAwait(false);
                    if (placement is { } found)
                    {
                        return found;
                    }
                }

                return await intake.AppendAsync(entry, body, token).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async Task<EnqueueResult> MergeAsync(
        WatchedRequest request,
        string key,
        Func<CoalescingContext, CancellationToken, Task<Coalescing>> merge,
        LiveFailure? failure,
        CancellationToken cancellationToken)
    {
        using var spool = new BodySpool(options.Capture.InlineBodyLength, options.Limits.MaxBodyLength);
        var length = await intake.SpoolAsync(request.Body, spool, cancellationToken).ConfigureAwait(false);
        StoredContent Spooled() => new(_ => new(spool.OpenView()), length);
        request = request with { Body = RepeatableBody.Of(Spooled()) };
        var snapshot = request.Captured.ToSnapshot();
        using var turn = await TakeTurnAsync(key, cancellationToken).ConfigureAwait(false);
        while (turn is not null
            && await intake.WatchAsync(token => FindAsync(request, token), cancellationToken).ConfigureAwait(false) is { } queued
            && !IsLate(request, failure, queued))
        {
            try
            {
                using var newer = RequestRestorer.Restore(snapshot, snapshot.ContentHeaders is null ? null : Spooled());
                var how = Judge(await AskAsync(queued, newer, merge, cancellationToken).ConfigureAwait(false), queued, request, failure);
                if (how == Coalescing.Append)
                {
                    break;
                }

                var placement = how == Coalescing.ReplaceQueued
                    ? await intake.StoreAsync(
                        Recapture(newer, request),
                        QueueEnd.Back,
                        failure,
                        (entry, body, token) => TryReplaceAsync(queued, entry, body, token),
                        cancellationToken).ConfigureAwait(false)
                    : await intake.WatchAsync(
                        token => TryDropAsync(queued, snapshot, how, token), cancellationToken).ConfigureAwait(false);
                if (placement is { } found)
                {
                    return found;
                }
            }
            catch (Exception e) when (e is not QueueStoreException && !cancellationToken.IsCancellationRequested)
            {
                LogFailed(e, queue, queued.Id, e.Message);
                break;
            }
        }

        // With its key, so that the next request of that key finds this one and not the one before.
        return await intake.AddAsync(request, QueueEnd.Back, failure, cancellationToken).ConfigureAwait(false);
    }

    /// <returns><see langword="null"/> when those before it take too long.</returns>
    private async Task<IDisposable?> TakeTurnAsync(string key, CancellationToken cancellationToken)
    {
        using var waiting = new Attempt(_limit, timeProvider, cancellationToken);
        try
        {
            return await _turns.TakeAsync(key, waiting.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (waiting.IsTimedOut)
        {
            LogNoTurn(queue, _limit);
            return null;
        }
    }

    /// <summary>
    /// The entry that a request may be made one with: neither in flight nor past its retention, and with the same prerequisite.
    /// </summary>
    private async Task<QueuedEntry?> FindAsync(WatchedRequest request, CancellationToken cancellationToken) =>
        await store.FindLastAsync(queue, request.CoalesceKey!, cancellationToken).ConfigureAwait(false) is { IsLeased: false } queued
            && queued.ExpiresAt >= timeProvider.GetUtcNow() && queued.Prerequisite == request.Prerequisite ? queued : null;

    /// <summary>
    /// What an answer comes to: what may have arrived must be followed by what undoes it, and nothing gives way to what is older.
    /// </summary>
    private Coalescing Judge(Coalescing answer, QueuedEntry queued, WatchedRequest request, LiveFailure? failure) => answer switch
    {
        Coalescing.ReplaceQueued or Coalescing.CancelOut when IsLate(request, failure, queued) => Coalescing.KeepFirst,
        Coalescing.CancelOut when queued.Attempts > 0 => Coalescing.Append,
        _ => answer,
    };

    /// <summary>Whether a request was being sent already when that of the entry was made.</summary>
    private bool IsLate(WatchedRequest request, LiveFailure? failure, QueuedEntry queued) =>
        failure is not null
        && request.Timestamp.ToUnixTimeMilliseconds() < queued.Timestamp.ToUnixTimeMilliseconds()
        // A time yet to come is of a clock that was put back since.
        && queued.Timestamp <= timeProvider.GetUtcNow();

    private async Task<Coalescing> AskAsync(
        QueuedEntry queued,
        HttpRequestMessage newer,
        Func<CoalescingContext, CancellationToken, Task<Coalescing>> merge,
        CancellationToken cancellationToken)
    {
        using var older = RequestRestorer.Restore(queued.Request, intake.ContentOf(queued));
        var context = new CoalescingContext(queued, older, newer);
        var answer = Coalescing.Append;
        await ApplicationCall.RunAsync(
            async token => answer = await merge(context, token).ConfigureAwait(false),
            _limit,
            timeProvider,
            cancellationToken).ConfigureAwait(false);
        return Enum.IsDefined(answer) ? answer : throw new InvalidOperationException($"It answered {answer}, which is none of Coalescing.");
    }

    /// <summary>Takes down a request that the application may have changed.</summary>
    private WatchedRequest Recapture(HttpRequestMessage newer, WatchedRequest request)
    {
        RequestAddress.Require(newer);
        IdempotencyKey.Ensure(newer, options.IdempotencyKeyHeader, options.IdempotencyKeyFormat, timeProvider);
        return request with
        {
            Captured = new(newer, options.Capture.SecretHeaders),
            Body = RepeatableBody.Of(newer.Content),
        };
    }

    private async Task<EnqueueResult?> TryDropAsync(
        WatchedRequest request, Coalescing how, LiveFailure? failure, CancellationToken cancellationToken) =>
        await FindAsync(request, cancellationToken).ConfigureAwait(false) is { } queued && Judge(how, queued, request, failure) == how
            ? await TryDropAsync(queued, request.Captured.ToSnapshot(), how, cancellationToken).ConfigureAwait(false)
            : null;

    /// <summary>Drops a request, and the entry with it if they cancel out.</summary>
    /// <returns><see langword="null"/> when the entry is no longer what it was.</returns>
    private async Task<EnqueueResult?> TryDropAsync(
        QueuedEntry queued, RequestSnapshot request, Coalescing how, CancellationToken cancellationToken)
    {
        if (how == Coalescing.KeepFirst)
        {
            events.KeptFirst(queue, queued.Id, request);
        }
        else if (await store.RemoveAsync(queue, queued.Id, queued.Revision, cancellationToken).ConfigureAwait(false) == EntryChange.Done)
        {
            events.CancelledOut(queued);
        }
        else
        {
            return null;
        }

        return new(queued.Id, how);
    }

    /// <summary>Has a request take the place of an entry.</summary>
    /// <returns><see langword="null"/> when the entry is no longer what it was.</returns>
    private async Task<EnqueueResult?> TryReplaceAsync(
        QueuedEntry queued, NewEntry entry, EntryBodyStream body, CancellationToken cancellationToken)
    {
        var replaced = queued with
        {
            Lane = entry.Lane,
            Request = entry.Request,
            Timestamp = entry.Timestamp,
            ExpiresAt = entry.ExpiresAt,
            Metadata = entry.Metadata ?? new Dictionary<string, string>(),
            CoalesceKey = entry.CoalesceKey,
            TraceParent = entry.TraceParent,
            // One is enough to remember by that something may have reached the server.
            Attempts = Math.Max(entry.Attempts, Math.Min(queued.Attempts, 1)),
            LastError = entry.LastError,
        };
        var delay = entry.RequestedDelay ? entry.Delay : TimeSpan.Zero;
        if (await store.ReplaceAsync(replaced, entry.Body, delay, cancellationToken).ConfigureAwait(false) != EntryChange.Done)
        {
            return null;
        }

        body.Taken();
        events.Superseded(queue, queued.Id, entry);
        return new(queued.Id, Coalescing.ReplaceQueued);
    }
}

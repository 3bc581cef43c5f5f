using BgSync.Http.Capture;
using BgSync.Http.Diagnostics;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>Says which queued entry a request may be made one with, and how: the decision, which the <see cref="EntryWriter"/>
/// does.</summary>
internal sealed class Coalescer(QueueContext context)
{
    /// <summary>
    /// How long the application's function may take, and how long a request waits for others of its key that it takes so long for.
    /// </summary>
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(30);

    private readonly KeyedLock _turns = new();

    /// <summary>Waits until no other request of a key is being put in.</summary>
    /// <returns><see langword="null"/> when those before it take too long.</returns>
    public async Task<IDisposable?> TakeTurnAsync(string key, CancellationToken cancellationToken)
    {
        using var waiting = new Attempt(_limit, context.Time, cancellationToken);
        try
        {
            return await _turns.TakeAsync(key, waiting.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (waiting.IsTimedOut)
        {
            context.Events.CoalescingSkipped(context.Name, _limit);
            return null;
        }
    }

    /// <summary>
    /// The entry that a request may be made one with: neither in flight nor past its retention, and with the same prerequisite.
    /// </summary>
    public async Task<QueuedEntry?> FindAsync(WatchedRequest request, Attempt write)
    {
        var finding = context.Store.FindLastAsync(context.Name, request.CoalesceKey!, write.Token).AsTask();
        return await finding.WaitAsync(write.Token).ConfigureAwait(false) is { IsLeased: false } queued
            && queued.ExpiresAt >= context.Time.GetUtcNow() && queued.Prerequisite == request.Prerequisite ? queued : null;
    }

    /// <summary>Keeps the body of a request where the application's function can read it.</summary>
    /// <returns><see langword="null"/> when there is no function.</returns>
    /// <exception cref="NotStorableException">The body could not be read, or kept.</exception>
    /// <exception cref="OperationCanceledException">It was given up, or the body made no progress for too long.</exception>
    public async Task<BodySpool?> SpoolAsync(WatchedRequest request, Attempt write)
    {
        if (context.Options.GetCoalescing()?.Merge is null)
        {
            return null;
        }

        var spool = new BodySpool(context.Options.Capture.InlineBodyLength, context.Options.Limits.MaxBodyLength);
        try
        {
            await request.Body.CopyOnceMoreAsync(spool, write, write.Token).ConfigureAwait(false);
            return spool;
        }
        catch
        {
            spool.Dispose();
            throw;
        }
    }

    /// <summary>Decides what becomes of a request and an entry.</summary>
    /// <param name="queued">The entry.</param>
    /// <param name="request">The request.</param>
    /// <param name="failure">The failure that brought it here.</param>
    /// <param name="spool">Its body, where a function is asked.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The decision, and the request as the function has changed it, whose message is to be disposed of.</returns>
    public async Task<(Coalescing How, WatchedRequest? Merged)> DecideAsync(
        QueuedEntry queued, WatchedRequest request, LiveFailure? failure, BodySpool? spool, CancellationToken cancellationToken)
    {
        var rule = context.Options.GetCoalescing()!;
        if (rule.Merge is not { } merge || spool is null)
        {
            return (Limit(rule.Always, queued, request, failure), null);
        }

        if (IsLate(request, failure, queued))
        {
            return (Coalescing.Append, null);
        }

        try
        {
            var snapshot = request.Captured.ToSnapshot();
            var newer = RequestRestorer.Restore(snapshot, snapshot.ContentHeaders is null ? null : spool.ToContent());
            var how = Limit(await AskAsync(queued, newer, merge, cancellationToken).ConfigureAwait(false), queued, request, failure);
            if (how == Coalescing.ReplaceQueued)
            {
                return (how, Recapture(newer, request));
            }

            newer.Dispose();
            return (how, null);
        }
        catch (Exception e) when (e is not QueueStoreException && !cancellationToken.IsCancellationRequested)
        {
            MergeFailed(queued, e);
            return (Coalescing.Append, null);
        }
    }

    /// <summary>
    /// The consequence of an answer: a request that may have arrived must be followed by the one that undoes it, and nothing gives
    /// way to an older one.
    /// </summary>
    public Coalescing Limit(Coalescing answer, QueuedEntry queued, WatchedRequest request, LiveFailure? failure) => answer switch
    {
        Coalescing.ReplaceQueued or Coalescing.CancelOut when IsLate(request, failure, queued) => Coalescing.KeepFirst,
        Coalescing.CancelOut when queued.Attempts > 0 => Coalescing.Append,
        _ => answer,
    };

    /// <summary>Says that a request goes behind an entry, because the function did not make them one.</summary>
    public void MergeFailed(QueuedEntry queued, Exception failure) => context.Events.CallbackFailed(
        context.Name, nameof(context.Options.CoalesceBy), $"a request was queued behind entry {queued.Id} of its key", failure);

    /// <summary>An entry whose place a newer request takes.</summary>
    public static QueuedEntry Replaced(QueuedEntry queued, NewEntry newer) => queued with
    {
        Lane = newer.Lane,
        Request = newer.Request,
        Timestamp = newer.Timestamp,
        ExpiresAt = newer.ExpiresAt,
        Metadata = newer.Metadata ?? new Dictionary<string, string>(),
        CoalesceKey = newer.CoalesceKey,
        TraceParent = newer.TraceParent,
        // One is enough to remember by that something may have reached the server.
        Attempts = Math.Max(newer.Attempts, Math.Min(queued.Attempts, 1)),
        LastError = newer.LastError,
    };

    /// <summary>Whether a request was being sent already when that of the entry was made.</summary>
    private bool IsLate(WatchedRequest request, LiveFailure? failure, QueuedEntry queued) =>
        failure is not null
        && request.Timestamp.ToUnixTimeMilliseconds() < queued.Timestamp.ToUnixTimeMilliseconds()
        // A time yet to come is of a clock that was put back since.
        && queued.Timestamp <= context.Time.GetUtcNow();

    private async Task<Coalescing> AskAsync(
        QueuedEntry queued,
        HttpRequestMessage newer,
        Func<CoalescingContext, CancellationToken, Task<Coalescing>> merge,
        CancellationToken cancellationToken)
    {
        using var older = RequestRestorer.Restore(queued.Request, context.ContentOf(queued));
        var asked = new CoalescingContext(queued, older, newer);
        var answer = Coalescing.Append;
        await ApplicationCall.RunAsync(
            async token => answer = await merge(asked, token).ConfigureAwait(false), _limit, context.Time, cancellationToken)
            .ConfigureAwait(false);
        return Enum.IsDefined(answer) ? answer : throw new InvalidOperationException($"It answered {answer}, which is none of Coalescing.");
    }

    /// <summary>Takes down a request that the application may have changed.</summary>
    private WatchedRequest Recapture(HttpRequestMessage newer, WatchedRequest request)
    {
        RequestAddress.Require(newer);
        IdempotencyKey.Ensure(newer, context.Options.IdempotencyKeyHeader, context.Options.IdempotencyKeyFormat, context.Time);
        return request.Recaptured(newer, context.Options);
    }
}

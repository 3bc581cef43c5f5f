using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Replay;
using BgSync.Http.Responses;
using BgSync.Http.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http;

/// <summary>
/// Watches the requests of a client. One on a matching route that cannot reach its server is written to the queue; all others pass
/// untouched. Put into a pipeline by <c>AddBackgroundSync</c>.
/// </summary>
/// <remarks>Handlers added after it are inside: they run again on every replay. Thread-safe.</remarks>
public sealed class BackgroundSyncHandler : DelegatingHandler, IReplayEntrance
{
    /// <summary>How long a handler inside may take to heed its cancellation, where others wait for it.</summary>
    private static readonly TimeSpan _grace = TimeSpan.FromSeconds(2);

    private readonly QueueContext _context;
    private readonly BackgroundSyncQueue _queue;
    private readonly OvertakingGuard _overtaking;
    private readonly IQueueReplayer _replayer;
    private readonly RequestWatch _watch;
    private readonly ClientTimeout _clientTimeout;
    private readonly BackgroundSyncOptions _options;

    /// <param name="context">The parts of a queue share it.</param>
    /// <param name="queue">The queue.</param>
    /// <param name="overtaking">Says when a request may be sent.</param>
    /// <param name="replayer">Hears how servers answer.</param>
    /// <param name="watch">Says which requests the queue watches.</param>
    /// <param name="clientTimeout">
    /// The time-out of the client, which the outermost of its queues keeps for the requests that no queue watches.
    /// </param>
    internal BackgroundSyncHandler(
        QueueContext context,
        BackgroundSyncQueue queue,
        OvertakingGuard overtaking,
        IQueueReplayer replayer,
        RequestWatch watch,
        ClientTimeout clientTimeout)
    {
        _context = context;
        _queue = queue;
        _overtaking = overtaking;
        _replayer = replayer;
        _watch = watch;
        _clientTimeout = clientTimeout;
        _options = context.Options;
    }

    string IReplayEntrance.Queue => _context.Name;

    Task<HttpResponseMessage> IReplayEntrance.SendReplayAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        base.SendAsync(request, cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="RequestQueuedException">The request could not be sent and was queued (<see cref="WhenQueued.Throw"/>), and not
    /// delivered in time (<see cref="WhenQueued.Wait"/>).</exception>
    /// <exception cref="RequestNotDeliveredException">The request was queued and not delivered (<see cref="WhenQueued.Wait"/>).</exception>
    /// <exception cref="PrerequisiteException">
    /// The request names an entry that it cannot wait for; it was neither sent nor queued.
    /// </exception>
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _watch.IsWatched(request) && !ReplayRequest.Is(request)
            ? SendWatchedAsync(request, isAsync: true, cancellationToken).AsTask()
            : IsTimed(request)
                ? SendTimedAsync(request, isAsync: true, cancellationToken)
                : base.SendAsync(request, cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="RequestQueuedException">The request could not be sent and was queued (<see cref="WhenQueued.Throw"/>), and not
    /// delivered in time (<see cref="WhenQueued.Wait"/>).</exception>
    /// <exception cref="RequestNotDeliveredException">The request was queued and not delivered (<see cref="WhenQueued.Wait"/>).</exception>
    /// <exception cref="PrerequisiteException">
    /// The request names an entry that it cannot wait for; it was neither sent nor queued.
    /// </exception>
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var isWatched = _watch.IsWatched(request) && !ReplayRequest.Is(request);
        if (!isWatched && !IsTimed(request))
        {
            return base.Send(request, cancellationToken);
        }

        // A continuation that is posted to the context of this thread would wait for the thread, which waits for it.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            var sending = isWatched
                ? SendWatchedAsync(request, isAsync: false, cancellationToken).AsTask()
                : SendTimedAsync(request, isAsync: false, cancellationToken);
            return sending.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    /// <summary>Whether the client's time-out is to be kept here for a request that this queue does not watch.</summary>
    private bool IsTimed(HttpRequestMessage request) =>
        _clientTimeout.IsKept && _watch.IsWatchedByNone(request) && !ReplayRequest.Is(request);

    /// <summary>Sends a request that no queue watches, within the client's time-out, which <see cref="HttpClient"/> no longer keeps.</summary>
    private async Task<HttpResponseMessage> SendTimedAsync(HttpRequestMessage request, bool isAsync, CancellationToken cancellationToken)
    {
        using var attempt = new Attempt(_clientTimeout.Value, _context.Time.Timers, cancellationToken);
        try
        {
            var response = isAsync
                ? await base.SendAsync(request, attempt.Token).ConfigureAwait(false)
                : base.Send(request, attempt.Token);
            return _clientTimeout.KeepForBody(response, _clientTimeout.Value, _context.Time);
        }
        catch (OperationCanceledException e) when (attempt.IsTimedOut)
        {
            throw attempt.ToCallerException(e);
        }
    }

    /// <summary>Sends a request on a watched route, or has it queued.</summary>
    /// <remarks>Pooled, as the attempt is: most requests are answered, and pay nothing for what only a queued one needs.</remarks>
    /// <param name="request">The request.</param>
    /// <param name="isAsync">Otherwise it does not return before it is done.</param>
    /// <param name="cancellationToken">The caller's.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<HttpResponseMessage> SendWatchedAsync(
        HttpRequestMessage request, bool isAsync, CancellationToken cancellationToken)
    {
        GrpcRefusal.ThrowIfGrpcCall(request, _context.Name);
        if (await BlockIfSync(_queue.FindTakenAsync(request), isAsync).ConfigureAwait(false) is { } before)
        {
            // A handler outside sends it again.
            return await BlockIfSync(AnswerQueuedAsync(request, before, cancellationToken), isAsync).ConfigureAwait(false);
        }

        var watched = Watch(request, cancellationToken);
        OvertakingGuard.Turn? turn = null;
        WriteAheadRequest? written = null;
        QueuedRequest? queued;
        try
        {
            turn = await BlockIfSync(_overtaking.TakeTurnAsync(watched, cancellationToken), isAsync).ConfigureAwait(false);
            watched = turn is null ? watched : watched with { Lane = turn.Lane };
            HttpResponseMessage? response = null;
            LiveFailure? failure;
            if (turn?.Obstacle is { } obstacle)
            {
                failure = new(obstacle, FailureVerdict.NotSent);
            }
            else
            {
                written = _options.WriteAhead
                    ? await BlockIfSync(_queue.Ahead.BeginAsync(watched, cancellationToken), isAsync).ConfigureAwait(false)
                    : null;
                (response, failure) = await SendOnceAsync(request, watched, turn is not null, isAsync, cancellationToken).ConfigureAwait(false);
            }

            queued = failure is null
                ? null
                : await TryQueueAsync(watched, written, failure, isAsync, cancellationToken).ConfigureAwait(false);
            if (queued is null)
            {
                // A response that was not queued is the server's answer.
                return response is null
                    ? throw Rethrown(failure!.Exception)
                    : _clientTimeout.KeepForBody(response, _context.AttemptTimeout(), _context.Time);
            }

            // It is the entry now.
            written = null;
            response?.Dispose();
        }
        finally
        {
            if (written is not null)
            {
                await BlockIfSync(_queue.Ahead.DiscardAsync(written), isAsync).ConfigureAwait(false);
            }

            turn?.Dispose();
            watched.Body.Release();
        }

        // Its turn in the lane and its body are given back by now: a caller may wait long.
        return await BlockIfSync(AnswerQueuedAsync(request, queued, cancellationToken), isAsync).ConfigureAwait(false);
    }

    /// <summary>Makes the live attempt.</summary>
    /// <returns>The response, the failure for which the request is to be queued, or both.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<(HttpResponseMessage? Response, LiveFailure? Failure)> SendOnceAsync(
        HttpRequestMessage request, WatchedRequest watched, bool othersWait, bool isAsync, CancellationToken cancellationToken)
    {
        using var attempt = new Attempt(_context.AttemptTimeout(), _context.Time.Timers, cancellationToken);
        watched.Body.BeginAttempt(attempt);
        var entryIdBefore = EntryIdOf(request);
        HttpResponseMessage response;
        try
        {
            response = !isAsync ? base.Send(request, attempt.Token)
                : othersWait ? await LeaveAsync(base.SendAsync(request, attempt.Token), attempt.Token).ConfigureAwait(false)
                : await base.SendAsync(request, attempt.Token).ConfigureAwait(false);
        }
        // A cancel by the caller is never queued, and a request that an inner queue has taken is not taken twice.
        catch (Exception e) when (
            !cancellationToken.IsCancellationRequested && e is not RequestQueuedException && EntryIdOf(request) == entryIdBefore)
        {
            var failure = attempt.ToCallerException(e);
            var verdict = attempt.Classify(
                failure, _context.ClassifyFailure, request.Method != watched.Captured.Method, watched.Body.WasAskedFor);
            // A request that has waited for a connection in vain says nothing of the server.
            if (verdict == FailureVerdict.NotSent && !attempt.IsTimedOut)
            {
                _replayer.ReportLive(watched.Captured.Uri, statusCode: null);
            }

            return (null, new LiveFailure(failure, verdict));
        }

        // The response of an inner queue says nothing of the server.
        if (EntryIdOf(request) == entryIdBefore)
        {
            _replayer.ReportLive(watched.Captured.Uri, (int)response.StatusCode);
        }

        return (response, _options.QueuedStatuses.Contains(response.StatusCode) ? RefusalOf(response) : null);
    }

    /// <summary>
    /// Leaves a handler inside that ignores its token: the other requests of the lane wait for this one. Its late response is disposed of.
    /// </summary>
    private async Task<HttpResponseMessage> LeaveAsync(Task<HttpResponseMessage> sending, CancellationToken cancellationToken)
    {
        await ((Task)sending).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!sending.IsCompleted)
        {
            // Most handlers heed their token, and say how it ended.
            await ((Task)sending).WaitAsync(_grace, _context.Time, CancellationToken.None)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (!sending.IsCompleted)
        {
            _ = sending.ContinueWith(
                static late => (late.IsCompletedSuccessfully ? late.Result : null)?.Dispose(), TaskScheduler.Default);
            throw new TaskCanceledException("A handler takes no notice of its cancellation.", null, cancellationToken);
        }

        return await sending.ConfigureAwait(false);
    }

    /// <summary>The failure that a response is whose status is to be queued.</summary>
    private LiveFailure RefusalOf(HttpResponseMessage response) => new(
        new HttpRequestException($"The server answered {(int)response.StatusCode}.", null, response.StatusCode),
        FailureVerdict.MaybeProcessed,
        Answer.RetryAfterOf(response, _context.Time.GetUtcNow(), _options.Retry.MaxRetryAfter));

    /// <summary>Takes down the request as it is now: a redirect changes it while it is sent.</summary>
    private WatchedRequest Watch(HttpRequestMessage request, CancellationToken cancellationToken) => _queue.Capture(request) with
    {
        // The default routes name no path, and say nothing of a sign-in.
        MayHoldFormSecrets = _options.Routes.Count > 0 || request.NamesBackgroundSyncQueue(),
        Body = RepeatableBody.Prepare(
            request, _options.Capture.InlineBodyLength, _options.Limits.MaxBodyLength, isReadAhead: _options.WriteAhead, cancellationToken),
    };

    /// <returns><see langword="null"/> when it was not queued, and the failure bears the reason.</returns>
    /// <exception cref="PrerequisiteException">It cannot wait for the entry that it names.</exception>
    /// <exception cref="RequestQueuedException">The caller has cancelled, and the entry cannot be taken back.</exception>
    /// <exception cref="OperationCanceledException">The caller has cancelled, and nothing is queued.</exception>
    private async ValueTask<QueuedRequest?> TryQueueAsync(
        WatchedRequest watched, WriteAheadRequest? written, LiveFailure failure, bool isAsync, CancellationToken cancellationToken)
    {
        var reason = ReasonNotToQueue(watched, failure);
        if (reason is null)
        {
            try
            {
                return await BlockIfSync(_queue.EnqueueAsync(watched, written, failure, cancellationToken), isAsync).ConfigureAwait(false);
            }
            // Whatever else went wrong with the queue, the caller gets the failure of the request.
            catch (Exception e) when (e is not (PrerequisiteException or RequestQueuedException) && !IsCancel(e, cancellationToken))
            {
                reason = FailureText.Clean(_context.ReasonOf(e));
            }
        }

        failure.Exception.SetNotQueuedReason(reason);
        _context.Events.NotQueued(_context.Name, watched.Captured.ToSnapshot(), reason);
        return null;
    }

    private string? ReasonNotToQueue(WatchedRequest watched, LiveFailure failure) => failure.Verdict switch
    {
        FailureVerdict.DoNotQueue => "sending it again would not help",
        FailureVerdict.MaybeProcessed when !watched.IsRepeatable =>
            "the server may have processed it, and it is neither idempotent nor carries an idempotency key",
        _ when watched.ExpiresAt(_context) < _context.Time.GetUtcNow() => "its deadline or retention has passed",
        _ => null,
    };

    /// <exception cref="RequestQueuedException">The caller is told so, or has cancelled.</exception>
    /// <exception cref="OperationCanceledException">The caller has cancelled, and nothing is queued.</exception>
    private async Task<HttpResponseMessage> AnswerQueuedAsync(
        HttpRequestMessage request, QueuedRequest queued, CancellationToken cancellationToken)
    {
        if (_options.WhenQueued == WhenQueued.Wait && queued.Waiter is not null)
        {
            return await _queue.WaitAsync(queued, request, cancellationToken).ConfigureAwait(false);
        }

        await _queue.ThrowIfCancelledAsync(queued.EnqueueResult, queued.Failure, cancellationToken).ConfigureAwait(false);
        return _options.WhenQueued == WhenQueued.ReturnAccepted
            ? await AcceptedResponse.CreateAsync(request, queued.EntryId, queued.EnqueueResult.How).ConfigureAwait(false)
            : throw new RequestQueuedException(_context.Name, queued.EnqueueResult, queued.Failure);
    }

    /// <summary>A task to be awaited, which is done by then where nothing may go on after the caller's thread has returned.</summary>
    private static TTask BlockIfSync<TTask>(TTask task, bool isAsync)
        where TTask : Task
    {
        if (!isAsync)
        {
            task.GetAwaiter().GetResult();
        }

        return task;
    }

    private static bool IsCancel(Exception failure, CancellationToken cancellationToken) =>
        failure is OperationCanceledException cancel
        && cancellationToken.IsCancellationRequested && cancel.CancellationToken == cancellationToken;

    /// <summary>The id that another queue of the client may have given the request.</summary>
    private long? EntryIdOf(HttpRequestMessage request) =>
        !_watch.IsAlone && request.TryGetBackgroundSyncEntryId(out var entryId) ? entryId : null;

    /// <summary>Throws as it was thrown before.</summary>
    private static Exception Rethrown(Exception failure)
    {
        ExceptionDispatchInfo.Throw(failure);
        return failure;
    }
}

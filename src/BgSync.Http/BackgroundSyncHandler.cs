using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using BgSync.Http.Capture;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;
using BgSync.Http.Replay;
using BgSync.Http.Routing;

namespace BgSync.Http;

/// <summary>
/// Watches the requests of a client. One on a matching route that cannot reach its server is written to the queue; all others pass
/// untouched. Put into a pipeline by <c>AddBackgroundSync</c>.
/// </summary>
/// <remarks>Handlers added after it are inside: they run again on every replay. Thread-safe.</remarks>
public sealed class BackgroundSyncHandler : DelegatingHandler, IReplayEntrance
{
    private readonly BackgroundSyncQueue _queue;
    private readonly IReadOnlyCollection<string> _queuesOfClient;
    private readonly RouteTable _routes;
    private readonly OvertakingGuard _order;
    private readonly IQueueReplayer _replayer;
    private readonly EntryEvents _events;
    private readonly Func<TimeSpan> _attemptTimeout;
    private readonly TimeProvider _timeProvider;
    private readonly BackgroundSyncOptions _options;

    internal BackgroundSyncHandler(
        BackgroundSyncQueue queue,
        IReadOnlyCollection<string> queuesOfClient,
        RouteTable routes,
        OvertakingGuard order,
        IQueueReplayer replayer,
        EntryEvents events,
        Func<TimeSpan> attemptTimeout,
        TimeProvider timeProvider)
    {
        _queue = queue;
        _queuesOfClient = queuesOfClient;
        _routes = routes;
        _order = order;
        _replayer = replayer;
        _events = events;
        _attemptTimeout = attemptTimeout;
        _timeProvider = timeProvider;
        _options = queue.Options;
    }

    string IReplayEntrance.Queue => _queue.Name;

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
        IsWatched(request)
            ? SendWatchedAsync(request, isAsync: true, cancellationToken).AsTask()
            : base.SendAsync(request, cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="RequestQueuedException">The request could not be sent and was queued (<see cref="WhenQueued.Throw"/>), and not
    /// delivered in time (<see cref="WhenQueued.Wait"/>).</exception>
    /// <exception cref="RequestNotDeliveredException">The request was queued and not delivered (<see cref="WhenQueued.Wait"/>).</exception>
    /// <exception cref="PrerequisiteException">
    /// The request names an entry that it cannot wait for; it was neither sent nor queued.
    /// </exception>
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
        IsWatched(request)
            ? SendWatchedAsync(request, isAsync: false, cancellationToken).AsTask().GetAwaiter().GetResult()
            : base.Send(request, cancellationToken);

    /// <summary>Whether this queue may take a request. Of one that nobody speaks for not even the options are asked.</summary>
    private bool IsWatched(HttpRequestMessage request) =>
        (_routes.IsMatch(request) || request.NamesBackgroundSyncQueue()) && MayTake(request) && !ReplayMark.IsOn(request);

    /// <summary>Whether the request leaves it to the routes, or names this queue.</summary>
    /// <exception cref="InvalidOperationException">It names none of the client's.</exception>
    private bool MayTake(HttpRequestMessage request)
    {
        if (!request.TryGetBackgroundSyncQueue(out var only))
        {
            return true;
        }

        return only is null || _queuesOfClient.Contains(only)
            ? only == _queue.Name
            : throw new InvalidOperationException(
                $"The request names the queue '{only}', which its client has not. "
                + $"Name one of these: {string.Join(", ", _queuesOfClient)}.");
    }

    /// <summary>Sends a request on a watched route, or has it queued.</summary>
    /// <remarks>Pooled, as the attempt is: most requests are answered, and what they would need to be queued is not to cost them.</remarks>
    /// <param name="request">The request.</param>
    /// <param name="isAsync">Otherwise it does not return before it is done.</param>
    /// <param name="cancellationToken">The caller's.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<HttpResponseMessage> SendWatchedAsync(
        HttpRequestMessage request, bool isAsync, CancellationToken cancellationToken)
    {
        var watched = Watch(request, cancellationToken);
        LiveTurn? turn = null;
        HeldRequest? held = null;
        QueuedRequest? queued;
        try
        {
            turn = await Done(_order.TakeTurnAsync(watched, _attemptTimeout(), cancellationToken), isAsync).ConfigureAwait(false);
            HttpResponseMessage? response = null;
            LiveFailure? failure;
            if (turn?.Obstacle is { } obstacle)
            {
                failure = new(obstacle, FailureVerdict.NotSent);
            }
            else
            {
                held = _options.WriteAhead
                    ? await Done(_queue.BeginWriteAheadAsync(watched, cancellationToken), isAsync).ConfigureAwait(false)
                    : null;
                (response, failure) = await SendOnceAsync(request, watched.Captured, isAsync, cancellationToken).ConfigureAwait(false);
            }

            queued = failure is null ? null : await TryQueueAsync(watched, held, failure, isAsync).ConfigureAwait(false);
            if (queued is null)
            {
                // A response that was not queued is the server's answer.
                return response ?? throw Rethrown(failure!.Exception);
            }

            // It is the entry now.
            held = null;
            response?.Dispose();
        }
        finally
        {
            if (held is not null)
            {
                await Done(_queue.DiscardWriteAheadAsync(held), isAsync).ConfigureAwait(false);
            }

            turn?.Dispose();
            watched.Body.Release(request);
        }

        // Its turn in the lane and its body are given back by now: a caller may wait long.
        return await Done(AnswerQueuedAsync(request, queued, cancellationToken), isAsync).ConfigureAwait(false);
    }

    /// <summary>Makes the live attempt.</summary>
    /// <returns>The response, the failure for which the request is to be queued, or both.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<(HttpResponseMessage? Response, LiveFailure? Failure)> SendOnceAsync(
        HttpRequestMessage request, RequestCapture captured, bool isAsync, CancellationToken cancellationToken)
    {
        using var attempt = new Attempt(_attemptTimeout(), _timeProvider, cancellationToken);
        var entryIdBefore = EntryIdOf(request);
        HttpResponseMessage response;
        try
        {
            response = isAsync
                ? await base.SendAsync(request, attempt.Token).ConfigureAwait(false)
                : base.Send(request, attempt.Token);
        }
        // A cancel by the caller is never queued, and what an inner queue has taken is not taken twice.
        catch (Exception e) when (
            !cancellationToken.IsCancellationRequested && e is not RequestQueuedException && EntryIdOf(request) == entryIdBefore)
        {
            var failure = attempt.Explain(e);
            var verdict = attempt.Judge(failure, _options.ClassifyFailure, wasTaken: request.Method != captured.Method);
            if (verdict == FailureVerdict.NotSent)
            {
                _replayer.ReportLive(captured.Uri, reached: false, accepted: false);
            }

            return (null, new LiveFailure(failure, verdict));
        }

        // The response of an inner queue says nothing of the server.
        if (EntryIdOf(request) == entryIdBefore)
        {
            _replayer.ReportLive(captured.Uri, reached: (int)response.StatusCode < 500, accepted: response.IsSuccessStatusCode);
        }

        return (response, _options.QueuedStatuses.Contains(response.StatusCode) ? RefusalOf(response) : null);
    }

    /// <summary>What a response means whose status is to be queued.</summary>
    private LiveFailure RefusalOf(HttpResponseMessage response) => new(
        new HttpRequestException($"The server answered {(int)response.StatusCode}.", null, response.StatusCode),
        FailureVerdict.MaybeProcessed,
        RetryAfter.Read(response.Headers.RetryAfter, _timeProvider.GetUtcNow(), _options.Retry.MaxRetryAfter));

    /// <summary>Takes down the request as it is now: a redirect changes it while it is sent.</summary>
    private WatchedRequest Watch(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var captured = _queue.Capture(request, _timeProvider.GetUtcNow());
        return captured with
        {
            Body = RepeatableBody.Prepare(
                request, _options.Capture.InlineBodyLength, _options.Limits.MaxBodyLength, isReadAhead: _options.WriteAhead, cancellationToken),
        };
    }

    /// <returns><see langword="null"/> when it was not queued, and the failure bears the reason.</returns>
    /// <exception cref="PrerequisiteException">It cannot wait for the entry that it names.</exception>
    private async ValueTask<QueuedRequest?> TryQueueAsync(WatchedRequest watched, HeldRequest? held, LiveFailure failure, bool isAsync)
    {
        string reason;
        if (failure.Verdict == FailureVerdict.DoNotQueue)
        {
            reason = "sending it again would not help";
        }
        else if (failure.Verdict == FailureVerdict.MaybeProcessed && !watched.IsRepeatable)
        {
            reason = "the server may have processed it, and it is neither idempotent nor carries an idempotency key";
        }
        else if (watched.ExpiresAt < _timeProvider.GetUtcNow())
        {
            reason = "its deadline or retention has passed";
        }
        else
        {
            try
            {
                return await Done(_queue.EnqueueAsync(watched, held, failure), isAsync).ConfigureAwait(false);
            }
            // Whatever else went wrong with the queue, the caller gets the failure of the request.
            catch (Exception e) when (e is not PrerequisiteException)
            {
                reason = _queue.Explain(e);
            }
        }

        failure.Exception.SetNotQueuedReason(reason);
        _events.NotQueued(_queue.Name, watched.Captured.ToSnapshot(), reason);
        return null;
    }

    private async Task<HttpResponseMessage> AnswerQueuedAsync(
        HttpRequestMessage request, QueuedRequest queued, CancellationToken cancellationToken) => _options.WhenQueued switch
        {
            WhenQueued.ReturnAccepted => AcceptedResponse.Create(request, queued.EnqueueResult),
            WhenQueued.Wait when queued.Waiter is not null =>
                await _queue.WaitAsync(queued, request, cancellationToken).ConfigureAwait(false),
            _ => throw new RequestQueuedException(_queue.Name, queued.EnqueueResult, queued.Failure),
        };

    /// <summary>A task to be awaited, which is done by then where nothing may go on after the caller's thread has returned.</summary>
    private static TTask Done<TTask>(TTask task, bool isAsync)
        where TTask : Task
    {
        if (!isAsync)
        {
            task.GetAwaiter().GetResult();
        }

        return task;
    }

    private static long? EntryIdOf(HttpRequestMessage request) => request.TryGetBackgroundSyncEntryId(out var entryId) ? entryId : null;

    /// <summary>Throws as it was thrown before.</summary>
    private static Exception Rethrown(Exception failure)
    {
        ExceptionDispatchInfo.Throw(failure);
        return failure;
    }
}

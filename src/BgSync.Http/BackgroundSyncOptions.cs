using System.Net;
using BgSync.Http.Outcomes;
using BgSync.Http.Queue;

namespace BgSync.Http;

/// <summary>
/// The options of one queue, named after it. Set them where the queue is added; they are validated when the application starts.
/// </summary>
/// <remarks>Not to be changed once the application runs.</remarks>
public sealed class BackgroundSyncOptions
{
    private CoalescingRule? _coalescing;

    /// <summary>
    /// The requests that the queue watches. Default: none named, which means every POST, PUT, PATCH and DELETE of the client.
    /// </summary>
    public RouteCollection Routes { get; } = new();

    /// <summary>When and how often the queue tries again.</summary>
    public BackgroundSyncRetryOptions Retry { get; } = new();

    /// <summary>How much the queue takes.</summary>
    public BackgroundSyncLimitOptions Limits { get; } = new();

    /// <summary>How the queue is replayed.</summary>
    public BackgroundSyncReplayOptions Replay { get; } = new();

    /// <summary>Which dead letters the queue keeps.</summary>
    public BackgroundSyncDeadLetterOptions DeadLetters { get; } = new();

    /// <summary>The record that the queue keeps of entries that have ended.</summary>
    public BackgroundSyncReceiptOptions Receipts { get; } = new();

    /// <summary>The parts of a request that the queue keeps.</summary>
    public BackgroundSyncCaptureOptions Capture { get; } = new();

    /// <summary>
    /// The statuses of a live response for which the request is queued all the same, 503 for example. Default: none; a response is the
    /// server's answer and goes to the caller, as in Workbox.
    /// </summary>
    public ISet<HttpStatusCode> QueuedStatuses { get; } = new HashSet<HttpStatusCode>();

    /// <summary>
    /// The meaning of a failed attempt. Default: <see cref="FailureClassifier.Classify"/>. Called from any thread; wrap the default
    /// to add what a native handler throws.
    /// </summary>
    public Func<Exception, FailureVerdict> ClassifyFailure { get; set; } = FailureClassifier.Classify;

    /// <summary>The caller's result when its request was queued. Default: <see cref="WhenQueued.Throw"/>.</summary>
    public WhenQueued WhenQueued { get; set; } = WhenQueued.Throw;

    /// <summary>
    /// How long a caller waits for its queued request with <see cref="WhenQueued.Wait"/>, from when it was queued. Default: 100 s.
    /// <see cref="Timeout.InfiniteTimeSpan"/> for no limit.
    /// </summary>
    /// <remarks>The client's own time-out (<see cref="HttpClient.Timeout"/>) is lifted by it.</remarks>
    public TimeSpan WaitTimeout { get; set; } = TimeSpan.FromSeconds(100);

    /// <summary>
    /// How long one attempt may take until the headers of the response have arrived, live and on replay. Default:
    /// <see langword="null"/>, the <see cref="HttpClient.Timeout"/> that the client is configured with.
    /// <see cref="Timeout.InfiniteTimeSpan"/> for no limit.
    /// </summary>
    /// <remarks>
    /// A handler cannot tell <see cref="HttpClient.Timeout"/> from a cancel by the caller, so the queue keeps the time itself and
    /// lifts the client's own time-out above it: a time-out is queued, a cancel is not.
    /// </remarks>
    public TimeSpan? AttemptTimeout { get; set; }

    /// <summary>
    /// The header that lets a server recognise a request it has seen; minted for POST and PATCH before the first send, never
    /// overwritten. <see langword="null"/> mints none. Default: <c>Idempotency-Key</c>.
    /// </summary>
    /// <remarks>
    /// <see href="https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/">The Idempotency-Key HTTP Header Field</see>,
    /// a draft of the IETF.
    /// </remarks>
    public string? IdempotencyKeyHeader { get; set; } = "Idempotency-Key";

    /// <summary>How the key is written. Default: <see cref="IdempotencyKeyFormat.Bare"/>, as most servers expect.</summary>
    public IdempotencyKeyFormat IdempotencyKeyFormat { get; set; } = IdempotencyKeyFormat.Bare;

    /// <summary>
    /// Called just before an entry is sent, with the request, which it may change (a token, an age, another host) or drop. Default:
    /// none.
    /// </summary>
    /// <remarks>
    /// Its changes are sent and not stored: the next attempt begins from the entry again. When it throws, the request is not
    /// sent: a failure to connect, judged by <see cref="ClassifyFailure"/>, costs no attempt, as if the server itself could not be
    /// reached; any other counts as an attempt, so that the backoff grows. It has the time of an attempt, 100 s if that has no limit.
    /// </remarks>
    public Func<ReplayingContext, CancellationToken, Task>? OnReplaying { get; set; }

    /// <summary>
    /// The meaning of a response to a replay for its entry; <see langword="null"/> leaves it to the built-in rules. Default: none, which
    /// means these rules: 2xx to the method and the origin that were sent is delivered; a redirect elsewhere, 401, 407 and 511 hold the
    /// origin; 408, 421, 423, 425, 429, 5xx but 501 and 505, and every answer with <c>Retry-After</c> are sent again; 409 is sent again
    /// while an earlier attempt may still be running; all others are rejected.
    /// </summary>
    /// <remarks>
    /// Called from any thread, when the headers have arrived, before <see cref="OnReplayed"/>. The content is the first 64 KiB of the body,
    /// as far as they have come in 5 s, and may be read in any way; the body is whole again for the receipt and a waiting caller. An
    /// exception is a failed attempt: the entry is sent again after the backoff. It has the time of an attempt, 100 s if that has no limit.
    /// </remarks>
    public Func<HttpResponseMessage, CancellationToken, ValueTask<ResponseVerdict?>>? ClassifyResponse { get; set; }

    /// <summary>
    /// The statuses of a response to a replay that mean that the server took the request. Default: none named, which means every 2xx.
    /// </summary>
    /// <remarks>
    /// Where some are named, they alone mean it: name 200 and 201 and 409 where an answer that there is one already is a success, or
    /// leave 200 out where a captive portal answers so. Any other 2xx is sent again after the backoff.
    /// </remarks>
    public ISet<HttpStatusCode> DeliveredStatuses { get; } = new HashSet<HttpStatusCode>();

    /// <summary>
    /// The media type that a 2xx response to a replay has when it comes from the server, such as <c>application/json</c>. Default:
    /// <see langword="null"/>, any.
    /// </summary>
    /// <remarks>
    /// A response with a body of another type does not count as delivered: it is a captive portal's, and the entry is sent again after the
    /// backoff. A response without a body counts.
    /// </remarks>
    public string? ExpectContentType { get; set; }

    /// <summary>
    /// Whether a 2xx response counts as delivered although a redirect changed the method or the origin of the request. Default:
    /// <see langword="false"/>: the body did not arrive where it was sent to, and a sign-in page answers so. The origin is held then, as
    /// for 401.
    /// </summary>
    public bool AcceptRedirects { get; set; }

    /// <summary>
    /// How long an entry is tried before it expires, counted from its timestamp. Default: 7 days, as Workbox.
    /// <see cref="Timeout.InfiniteTimeSpan"/> for ever.
    /// </summary>
    /// <remarks>
    /// An expired request becomes a dead letter, unless <see cref="BackgroundSyncDeadLetterOptions.DiscardExpired"/>. A request may
    /// have a retention and a deadline of its own (<see cref="BackgroundSyncRequestExtensions.SetBackgroundSyncRetention"/>,
    /// <see cref="BackgroundSyncRequestExtensions.SetBackgroundSyncDeadline"/>).
    /// </remarks>
    public TimeSpan MaxRetentionTime { get; set; } = TimeSpan.FromDays(7);

    /// <summary>
    /// Whether a live request may be sent before those that wait in its lane. Default: <see cref="Overtaking.Allowed"/>.
    /// </summary>
    public Overtaking Overtaking { get; set; } = Overtaking.Allowed;

    /// <summary>
    /// Whether a request is written down before it is first sent, and forgotten when it is answered, so that not even the end of the
    /// process during that attempt loses it: it is queued at the next start then. Default: <see langword="false"/>, which writes down
    /// only what has failed, as Workbox does.
    /// </summary>
    /// <remarks>
    /// Each request costs two commits, and its body is read before it is sent; one that can be read only once is sent from a copy, above
    /// <see cref="BackgroundSyncCaptureOptions.InlineBodyLength"/> from a temporary file. A request that cannot be written down is
    /// sent all the same, and a warning logged. One that is neither idempotent nor keyed may have been processed when its process
    /// died: it becomes a dead letter (<see cref="DeadLetterCause.MaybeProcessed"/>). While it is being sent it is no entry yet: it
    /// is neither read, counted nor cleared, and <see cref="BackgroundSyncLimitOptions.MaxEntries"/> and
    /// <see cref="BackgroundSyncLimitOptions.MaxBytes"/> are asked when it fails, but not when its process has died.
    /// </remarks>
    public bool WriteAhead { get; set; }

    /// <summary>
    /// How long the store may take to write a part of a request, once it was decided to queue it. Default: 30 s. The caller's own
    /// cancel no longer counts then.
    /// </summary>
    public TimeSpan EnqueueTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Called when a response to a replay has arrived, before its entry is settled. Default: none. What it throws is logged and
    /// changes nothing. It has the time of an attempt, 100 s if that has no limit.
    /// </summary>
    public Func<ReplayedContext, CancellationToken, Task>? OnReplayed { get; set; }

    /// <summary>
    /// Called when an entry has become a dead letter, or expired and was discarded
    /// (<see cref="BackgroundSyncDeadLetterOptions.DiscardExpired"/>), beside the sending. Default: none. What it throws is logged;
    /// it has 30 s.
    /// </summary>
    public Func<DeadLetter, CancellationToken, Task>? OnDeadLettered { get; set; }

    /// <summary>
    /// Replaces the replay when entries are due and the application runs, as Workbox's <c>onSync</c>. Default: none, which sends
    /// what is due. <see cref="IBackgroundSyncQueue.ReplayAsync"/> by hand does not call it.
    /// </summary>
    /// <remarks>
    /// One call at a time. When it throws, or leaves due entries behind, it is called again after the backoff, or when the network
    /// or a server comes back. One that does not return in 5 min is cancelled, and left behind as if it had thrown. After
    /// <see cref="BackgroundSyncRetryOptions.MaxAttempts"/> calls that threw, or an endless wait of
    /// <see cref="BackgroundSyncRetryOptions.Delays"/>, only a trigger calls it again: the network or a server that is back, a start,
    /// or a new entry.
    /// </remarks>
    public Func<SyncContext, CancellationToken, Task>? OnSync { get; set; }

    /// <summary>The lane of a request, or <see langword="null"/> when all share one.</summary>
    internal Func<HttpRequestMessage, string>? Lane { get; private set; }

    /// <summary>Which requests may be made one, and how; <see langword="null"/> when none are.</summary>
    /// <remarks>No property, because the binder of configuration would want to make one.</remarks>
    internal CoalescingRule? GetCoalescing() => _coalescing;

    /// <summary>Where jitter comes from: a number from 0 up to 1.</summary>
#pragma warning disable RS0030 // The one place where the library takes its randomness from; tests put their own here.
    internal Func<double> Randomizer { get; set; } = Random.Shared.NextDouble;
#pragma warning restore RS0030

    /// <summary>
    /// Splits the queue into lanes: order holds inside a lane, one entry of a lane is sent at a time, lanes run side by side.
    /// Default: one lane, Workbox's FIFO.
    /// </summary>
    /// <param name="lane">Names the lane of a request, such as its path. Called before the request is first sent.</param>
    public void LaneBy(Func<HttpRequestMessage, string> lane)
    {
        ArgumentNullException.ThrowIfNull(lane);
        Lane = lane;
    }

    /// <summary>
    /// Makes a request and the last entry with the same key one, when the request is about to be queued, after a failure or by
    /// <see cref="IBackgroundSyncQueue.PushAsync"/>. Default: every request is an entry of its own.
    /// </summary>
    /// <remarks>
    /// An entry that is being sent, or past its retention, is left alone: the request is queued behind it. Processes that share a store
    /// see each other's entries, but two that queue at the same moment may each have one.
    /// </remarks>
    /// <param name="key">
    /// The key of a request, such as its path; <see langword="null"/> for one on its own. Called before the request is first sent; what
    /// it throws goes to the caller. The key is written down, so let it hold no secret.
    /// </param>
    /// <param name="whenQueued">
    /// The way in which the two become one. Default: <see cref="Coalescing.ReplaceQueued"/>, so that only the newest counts.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="whenQueued"/> is none of its values.</exception>
    public void CoalesceBy(Func<HttpRequestMessage, string?> key, Coalescing whenQueued = Coalescing.ReplaceQueued)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (!Enum.IsDefined(whenQueued))
        {
            throw new ArgumentOutOfRangeException(
                nameof(whenQueued), whenQueued, "Write one of Append, KeepFirst, ReplaceQueued and CancelOut.");
        }

        _coalescing = new(key, whenQueued);
    }

    /// <summary>Likewise, with a function that is shown both and says what becomes of them.</summary>
    /// <remarks>
    /// When the function throws, or does not return in 30 s, the request is queued behind the entry and a warning is logged. It may be
    /// asked again of the same request, should the entry change meanwhile. One call at a time for each key. It is not asked of a
    /// request that is older than the entry, because it was being sent meanwhile: that one is queued behind it.
    /// </remarks>
    /// <param name="key">
    /// The key of a request, such as its path; <see langword="null"/> for one on its own. Called before the request is first sent; what
    /// it throws goes to the caller. The key is written down, so let it hold no secret.
    /// </param>
    /// <param name="merge">
    /// Says what becomes of the two. With <see cref="Coalescing.ReplaceQueued"/> it may change the request first, to what both come to.
    /// </param>
    public void CoalesceBy(
        Func<HttpRequestMessage, string?> key, Func<CoalescingContext, CancellationToken, Task<Coalescing>> merge)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(merge);
        _coalescing = new(key, Coalescing.Append, merge);
    }

    /// <summary>
    /// Sets the rules of Workbox 7.2 in Chrome: only a failure of the network is a failure, so that any response to a replay delivers
    /// its entry; one lane, in which live requests overtake and the first failure stops the rest; tries at 0, 5 and 20 minutes, and
    /// then none before a trigger (see <see cref="BackgroundSyncRetryOptions.Delays"/>), without a limit to the attempts; 7 days,
    /// after which an entry is discarded; the caller gets an exception.
    /// </summary>
    /// <remarks>
    /// Sets <see cref="ClassifyResponse"/>, <see cref="QueuedStatuses"/>, <see cref="LaneBy"/>, <c>CoalesceBy</c>,
    /// <see cref="Overtaking"/>, <see cref="BackgroundSyncRetryOptions.Delays"/>,
    /// <see cref="BackgroundSyncRetryOptions.MaxAttempts"/>, <see cref="BackgroundSyncRetryOptions.SkipAfterAttempts"/>,
    /// <see cref="MaxRetentionTime"/>, <see cref="BackgroundSyncDeadLetterOptions.DiscardExpired"/> and <see cref="WhenQueued"/>;
    /// what is set after it wins. What Workbox has not and costs nothing stays: leases, idempotency keys, secrets that are not
    /// stored, and a network event that ends the wait for a server that could not be reached.
    /// </remarks>
    public void UseWorkboxDefaults()
    {
        ClassifyResponse = static (_, _) => new(ResponseVerdict.Delivered);
        QueuedStatuses.Clear();
        Lane = null;
        Overtaking = Overtaking.Allowed;
        Retry.Delays.Clear();
        Retry.Delays.Add(TimeSpan.FromMinutes(5));
        Retry.Delays.Add(TimeSpan.FromMinutes(15));
        Retry.Delays.Add(Timeout.InfiniteTimeSpan);
        Retry.MaxAttempts = int.MaxValue;
        Retry.SkipAfterAttempts = null;
        MaxRetentionTime = TimeSpan.FromDays(7);
        DeadLetters.DiscardExpired = true;
        WhenQueued = WhenQueued.Throw;
        _coalescing = null;
    }

    /// <summary>Whether the waits end in one that only a trigger ends.</summary>
    internal bool WaitsEndlessly => Retry.Delays is [.., var last] && last == Timeout.InfiniteTimeSpan;

    /// <summary>How long to wait after a failure.</summary>
    /// <param name="failures">How many failures there were, the last one included; 1 or more.</param>
    /// <returns><see cref="TimeSpan.MaxValue"/> for a wait that only a trigger ends.</returns>
    internal TimeSpan WaitAfter(int failures)
    {
        if (Retry.Delays.Count == 0)
        {
            return Backoff.Wait(failures, Retry.MinBackoff, Retry.MaxBackoff, Randomizer());
        }

        var wait = Retry.Delays[Math.Min(failures, Retry.Delays.Count) - 1];
        return wait == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : wait;
    }
}

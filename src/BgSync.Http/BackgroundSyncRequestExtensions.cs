using System.Collections.ObjectModel;
using System.Runtime.CompilerServices;
using System.Text;
using BgSync.Http;

namespace System.Net.Http;

/// <summary>The wishes of a caller for a request that a queue may take, and the queue's answer.</summary>
public static class BackgroundSyncRequestExtensions
{
    private static readonly HttpRequestOptionsKey<IReadOnlyDictionary<string, string>> _metadata = new("BgSync.Http.Metadata");
    private static readonly HttpRequestOptionsKey<long> _entryId = new("BgSync.Http.EntryId");
    private static readonly HttpRequestOptionsKey<string> _queue = new("BgSync.Http.Queue");
    private static readonly HttpRequestOptionsKey<string> _lane = new("BgSync.Http.Lane");
    private static readonly HttpRequestOptionsKey<EntryPriority> _priority = new("BgSync.Http.Priority");
    private static readonly HttpRequestOptionsKey<TimeSpan> _retention = new("BgSync.Http.Retention");
    private static readonly HttpRequestOptionsKey<DateTimeOffset> _deadline = new("BgSync.Http.Deadline");
    private static readonly HttpRequestOptionsKey<DateTimeOffset> _notBefore = new("BgSync.Http.NotBefore");
    private static readonly HttpRequestOptionsKey<long> _prerequisite = new("BgSync.Http.Prerequisite");

    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The text that stands for none in the place of a queue's name.</summary>
    private const string NoQueue = "";

    /// <summary>
    /// The requests that name a queue. A message makes its options when it is asked for them, and one that no route matches is to stay
    /// untouched.
    /// </summary>
    private static readonly ConditionalWeakTable<HttpRequestMessage, object> _naming = [];

    /// <summary>Whether there was one such request ever: in most applications there is none.</summary>
    private static volatile bool _isNaming;

    /// <summary>Whether there was ever a request that waits for an entry.</summary>
    private static volatile bool _hasPrerequisites;

    /// <summary>
    /// Gives the request notes of the caller's own, kept with its entry and never sent. Workbox's <c>metadata</c>.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="metadata">The notes, copied as they are now.</param>
    /// <exception cref="ArgumentException">
    /// A note is <see langword="null"/>, or is no text that can be stored: half of a surrogate pair.
    /// </exception>
    public static void SetBackgroundSyncMetadata(this HttpRequestMessage request, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(metadata);
        foreach (var (name, value) in metadata)
        {
            if (!IsText(name) || !IsText(value))
            {
                throw new ArgumentException(
                    $"The note '{name}' cannot be stored. Write a text, with both halves of each surrogate pair.", nameof(metadata));
            }
        }

        request.Options.Set(_metadata, new Dictionary<string, string>(metadata));
    }

    /// <summary>
    /// The notes of the caller's own, which <see cref="SetBackgroundSyncMetadata"/> gave the request. At a replay the handlers inside find
    /// here what was kept with the entry.
    /// </summary>
    /// <returns>An empty dictionary when there are none.</returns>
    public static IReadOnlyDictionary<string, string> GetBackgroundSyncMetadata(this HttpRequestMessage request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.Options.TryGetValue(_metadata, out var metadata) ? metadata : ReadOnlyDictionary<string, string>.Empty;
    }

    /// <summary>The queue that may take the request, and no other, whether its routes match or not.</summary>
    /// <param name="request">The request. Where a handler outside sends a copy of it, the copy is queued only if a route matches.</param>
    /// <param name="queueName">A queue of the client that sends the request; any other is an error when it is sent.</param>
    public static void SetBackgroundSyncQueue(this HttpRequestMessage request, string queueName)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentException.ThrowIfNullOrEmpty(queueName);
        request.Options.Set(_queue, queueName);
        _naming.AddOrUpdate(request, queueName);
        _isNaming = true;
    }

    /// <summary>Keeps the request out of every queue: it is sent as if there were none, and fails if it cannot be.</summary>
    public static void DoNotQueue(this HttpRequestMessage request)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.Options.Set(_queue, NoQueue);
        _isNaming = true;
    }

    /// <summary>The lane of the request, in place of the one that <c>LaneBy</c> names.</summary>
    public static void SetBackgroundSyncLane(this HttpRequestMessage request, string lane)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(lane);
        request.Options.Set(_lane, lane);
    }

    /// <summary>
    /// How urgent the request is once it is queued. Inside its lane the more urgent go first, equals in the order queued; of several
    /// lanes that are due, those whose first entry is more urgent. What is being sent is not interrupted, and an urgent entry that
    /// fails has its lane wait as any other.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="priority">Default: <see cref="EntryPriority.Normal"/>.</param>
    public static void SetBackgroundSyncPriority(this HttpRequestMessage request, EntryPriority priority)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!Enum.IsDefined(priority))
        {
            throw new ArgumentOutOfRangeException(nameof(priority), priority, null);
        }

        request.Options.Set(_priority, priority);
    }

    /// <summary>How long the request is tried once it is queued, in place of <c>MaxRetentionTime</c>.</summary>
    /// <param name="request">The request.</param>
    /// <param name="retention">A positive time; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    public static void SetBackgroundSyncRetention(this HttpRequestMessage request, TimeSpan retention)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (retention != Timeout.InfiniteTimeSpan)
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(retention, TimeSpan.Zero);
        }

        request.Options.Set(_retention, retention);
    }

    /// <summary>
    /// When the request expires once it is queued, should its retention not end before. One that fails after its deadline is not
    /// queued.
    /// </summary>
    public static void SetBackgroundSyncDeadline(this HttpRequestMessage request, DateTimeOffset deadline)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.Options.Set(_deadline, deadline);
    }

    /// <summary>
    /// The time before which the request is not sent again once it is queued, nor what stands behind it in its lane. Only time ends
    /// this wait: neither the network nor a replay by hand.
    /// </summary>
    public static void SetBackgroundSyncNotBefore(this HttpRequestMessage request, DateTimeOffset notBefore)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.Options.Set(_notBefore, notBefore);
    }

    /// <summary>
    /// The entry that must be delivered before the request is sent. <c>OnReplaying</c> may then make the request anew from that one's
    /// response. If that one is not delivered, the request is not sent: it becomes a dead letter too.
    /// </summary>
    /// <remarks>
    /// A live request with a prerequisite is not sent live, but queued, even when that one has been delivered: only a replay can
    /// make it anew. What stands behind it in its lane waits with it.
    /// </remarks>
    /// <param name="request">The request.</param>
    /// <param name="entryId">
    /// An entry of the same queue that stands before this one, or was delivered. Any other is a
    /// <see cref="BgSync.Http.PrerequisiteException"/> when the request is to be queued.
    /// </param>
    public static void SetBackgroundSyncPrerequisite(this HttpRequestMessage request, long entryId)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.Options.Set(_prerequisite, entryId);
        _hasPrerequisites = true;
    }

    /// <summary>The id of the entry that a request became.</summary>
    /// <returns><see langword="false"/> when the request was not queued.</returns>
    public static bool TryGetBackgroundSyncEntryId(this HttpRequestMessage request, out long entryId)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.Options.TryGetValue(_entryId, out entryId);
    }

    /// <summary>Whether the request names a queue; leaves it untouched.</summary>
    internal static bool NamesBackgroundSyncQueue(this HttpRequestMessage request) =>
        _isNaming && _naming.TryGetValue(request, out _);

    /// <summary>The only queue that may take the request; <see langword="null"/> for none at all.</summary>
    /// <returns><see langword="false"/> when any may.</returns>
    internal static bool TryGetBackgroundSyncQueue(this HttpRequestMessage request, out string? queueName)
    {
        queueName = null;
        var names = _isNaming && request.Options.TryGetValue(_queue, out queueName);
        queueName = queueName == NoQueue ? null : queueName;
        return names;
    }

    internal static string? GetBackgroundSyncLane(this HttpRequestMessage request) =>
        request.Options.TryGetValue(_lane, out var lane) ? lane : null;

    internal static EntryPriority GetBackgroundSyncPriority(this HttpRequestMessage request) =>
        request.Options.TryGetValue(_priority, out var priority) ? priority : EntryPriority.Normal;

    internal static TimeSpan? GetBackgroundSyncRetention(this HttpRequestMessage request) =>
        request.Options.TryGetValue(_retention, out var retention) ? retention : null;

    internal static DateTimeOffset GetBackgroundSyncDeadline(this HttpRequestMessage request) =>
        request.Options.TryGetValue(_deadline, out var deadline) ? deadline : DateTimeOffset.MaxValue;

    internal static DateTimeOffset GetBackgroundSyncNotBefore(this HttpRequestMessage request) =>
        request.Options.TryGetValue(_notBefore, out var notBefore) ? notBefore : DateTimeOffset.MinValue;

    internal static long? GetBackgroundSyncPrerequisite(this HttpRequestMessage request) =>
        _hasPrerequisites && request.Options.TryGetValue(_prerequisite, out var prerequisite) ? prerequisite : null;

    internal static void SetBackgroundSyncEntryId(this HttpRequestMessage request, long entryId) => request.Options.Set(_entryId, entryId);

    internal static bool IsText(string? text)
    {
        try
        {
            return text is not null && _strictUtf8.GetByteCount(text) >= 0;
        }
        catch (EncoderFallbackException)
        {
            return false;
        }
    }
}

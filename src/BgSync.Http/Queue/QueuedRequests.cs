using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using BgSync.Http.Capture;

namespace BgSync.Http.Queue;

/// <summary>
/// The requests that a queue has taken a short while ago. A handler outside of the queue that sends one of them again gets the answer
/// of the first time: the request is neither sent nor queued twice.
/// </summary>
/// <remarks>
/// The answer goes with the options of the message, which handlers outside copy when they send a copy; a copy without them is known by
/// its idempotency key. Thread-safe. A request that was never queued costs one read while the queue has taken nothing, and no
/// allocation ever.
/// </remarks>
internal sealed class QueuedRequests(string queue, string? keyHeader, TimeProvider timeProvider)
{
    /// <summary>How many keys are remembered; the oldest is forgotten first.</summary>
    public const int Capacity = 1024;

    /// <summary>How long a request is remembered: longer than handlers outside go on trying.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    private readonly HttpRequestOptionsKey<Answer> _option = new($"BgSync.Http.Queued/{queue}");
    private readonly ConcurrentDictionary<string, Answer> _byKey = new(StringComparer.Ordinal);
    private readonly Queue<(string Key, Answer Answer)> _oldestFirst = [];
    private volatile bool _hasAny;

    /// <summary>Remembers a request and what its caller is told.</summary>
    public void Add(HttpRequestMessage request, RequestSnapshot captured, QueuedRequest queued)
    {
        // A waiter is of the first caller.
        var answer = new Answer(queued with { Waiter = null }, captured.Method, captured.Uri, new(request), timeProvider.GetTimestamp());
        request.Options.Set(_option, answer);
        if (captured.Headers.FirstOrDefault(header => header.Key.Equals(keyHeader, StringComparison.OrdinalIgnoreCase)).Value is { } key)
        {
            lock (_oldestFirst)
            {
                while (_oldestFirst.TryPeek(out var oldest) && (_oldestFirst.Count >= Capacity || IsOver(oldest.Answer)))
                {
                    // A later request may bear the same key.
                    _byKey.TryRemove(new(oldest.Key, oldest.Answer));
                    _oldestFirst.Dequeue();
                }

                _oldestFirst.Enqueue((key, answer));
                _byKey[key] = answer;
            }
        }

        _hasAny = true;
    }

    /// <summary>Looks up a request that is about to be sent.</summary>
    /// <param name="request">The message.</param>
    /// <param name="queued">The entry that the request became.</param>
    /// <param name="isCopy">
    /// Whether the message is another one than the first. It may be the application's, which sends the request once more because its
    /// entry was removed or became a dead letter: the caller makes sure that the entry is pending or delivered.
    /// </param>
    /// <returns><see langword="false"/> when the queue has not taken the request.</returns>
    public bool TryGet(HttpRequestMessage request, [NotNullWhen(true)] out QueuedRequest? queued, out bool isCopy)
    {
        (queued, isCopy) = (null, false);
        if (!_hasAny)
        {
            return false;
        }

        if (request.Options.TryGetValue(_option, out var answer)
            || (IdempotencyKey.Of(request, keyHeader) is { } key && _byKey.TryGetValue(key, out answer)))
        {
            isCopy = !(answer.Message.TryGetTarget(out var message) && message == request);
            // An application may use a key of its own, or the options of one request, for several requests.
            var isOther = isCopy && (answer.Method != request.Method || answer.Uri != request.RequestUri);
            queued = isOther || IsOver(answer) ? null : answer.Queued;
        }

        return queued is not null;
    }

    private bool IsOver(Answer answer) => timeProvider.GetElapsedTime(answer.Since) > Window;

    /// <param name="Queued">The answer that the caller got.</param>
    /// <param name="Method">The method that was asked for.</param>
    /// <param name="Uri">The address that was asked for.</param>
    /// <param name="Message">The caller's message.</param>
    /// <param name="Since">The timestamp of the answer.</param>
    private sealed record Answer(
        QueuedRequest Queued, HttpMethod Method, Uri Uri, WeakReference<HttpRequestMessage> Message, long Since);
}

using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace BgSync.Http.Queue;

/// <summary>
/// The requests that a queue has taken a short while ago. A handler outside of the queue that sends one of them again gets the answer
/// of the first time: the request is neither sent nor queued twice.
/// </summary>
/// <remarks>
/// The request is known by its message, by the id of its entry, or by its idempotency key, method and address: a handler outside may
/// send a copy. Thread-safe. A request that was never queued costs one read while the queue has taken nothing, and no allocation ever.
/// </remarks>
internal sealed class QueuedRequests(TimeProvider timeProvider)
{
    /// <summary>How many requests are remembered; the oldest is forgotten first.</summary>
    public const int Capacity = 1024;

    /// <summary>How long a request is remembered: longer than handlers outside go on trying.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    private readonly ConditionalWeakTable<HttpRequestMessage, Answer> _byMessage = [];
    private readonly ConcurrentDictionary<long, Answer> _byEntry = [];
    private readonly ConcurrentDictionary<string, Answer> _byKey = new(StringComparer.Ordinal);
    private readonly Queue<Answer> _oldestFirst = [];
    private volatile bool _hasAny;

    /// <summary>Remembers a request and what its caller is told.</summary>
    /// <param name="request">The message of the caller; a redirect may have changed it.</param>
    /// <param name="captured">The request as it was before it was sent.</param>
    /// <param name="keyHeader">The header of the idempotency key; <see langword="null"/> for none.</param>
    /// <param name="queued">The entry that the request became, and the failure that brought it there.</param>
    public void Add(HttpRequestMessage request, RequestSnapshot captured, string? keyHeader, QueuedRequest queued)
    {
        // A waiter is of the first caller.
        var answer = new Answer(
            queued with { Waiter = null }, KeyOf(captured, keyHeader), captured.Method, captured.Uri, timeProvider.GetTimestamp());
        lock (_oldestFirst)
        {
            while (_oldestFirst.TryPeek(out var oldest) && (_oldestFirst.Count >= Capacity || IsOver(oldest)))
            {
                Forget(_oldestFirst.Dequeue());
            }

            _oldestFirst.Enqueue(answer);
            _byMessage.AddOrUpdate(request, answer);
            _byEntry[queued.EntryId] = answer;
            if (answer.Key is not null)
            {
                _byKey[answer.Key] = answer;
            }

            _hasAny = true;
        }
    }

    /// <summary>Looks up a request that is about to be sent.</summary>
    /// <param name="request">The message.</param>
    /// <param name="keyHeader">The header of the idempotency key; <see langword="null"/> for none.</param>
    /// <param name="queued">The entry that the request became.</param>
    /// <param name="isCopy">
    /// Whether the message is another one than the first. It may be the application's, which sends the request once more because its
    /// entry was removed or became a dead letter: the caller makes sure that the entry is pending or delivered.
    /// </param>
    /// <returns><see langword="false"/> when the queue has not taken the request.</returns>
    public bool TryGet(
        HttpRequestMessage request, string? keyHeader, [NotNullWhen(true)] out QueuedRequest? queued, out bool isCopy)
    {
        (queued, isCopy) = (null, false);
        if (!_hasAny)
        {
            return false;
        }

        if (!_byMessage.TryGetValue(request, out var answer))
        {
            isCopy = true;
            answer = FindOriginal(request, keyHeader);
        }

        queued = answer is null || IsOver(answer) ? null : answer.Queued;
        return queued is not null;
    }

    private Answer? FindOriginal(HttpRequestMessage copy, string? keyHeader)
    {
        if (copy.TryGetBackgroundSyncEntryId(out var id) && _byEntry.TryGetValue(id, out var answer) && IsCopy(copy, answer))
        {
            return answer;
        }

        return keyHeader is not null
            && copy.Headers.NonValidated.TryGetValues(keyHeader, out var key)
            && _byKey.TryGetValue(key.ToString(), out answer)
            && IsCopy(copy, answer)
            ? answer
            : null;
    }

    /// <summary>An id may be that of another queue's entry, and an application may use a key of its own for several requests.</summary>
    private static bool IsCopy(HttpRequestMessage request, Answer answer) =>
        answer.Method == request.Method && answer.Uri == request.RequestUri;

    private static string? KeyOf(RequestSnapshot captured, string? keyHeader)
    {
        foreach (var (name, value) in captured.Headers)
        {
            if (name.Equals(keyHeader, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        return null;
    }

    private void Forget(Answer answer)
    {
        // A later request may bear the same id, after coalescing, or the same key.
        _byEntry.TryRemove(new(answer.Queued.EntryId, answer));
        if (answer.Key is not null)
        {
            _byKey.TryRemove(new(answer.Key, answer));
        }
    }

    private bool IsOver(Answer answer) => timeProvider.GetElapsedTime(answer.Since) > Window;

    /// <param name="Queued">What the caller was told.</param>
    /// <param name="Key">The idempotency key.</param>
    /// <param name="Method">The method that was asked for.</param>
    /// <param name="Uri">The address that was asked for.</param>
    /// <param name="Since">The timestamp of the answer.</param>
    private sealed record Answer(QueuedRequest Queued, string? Key, HttpMethod Method, Uri Uri, long Since);
}

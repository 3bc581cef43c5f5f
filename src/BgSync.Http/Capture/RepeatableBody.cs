using System.Collections;
using System.Net.Http.Json;

namespace BgSync.Http.Capture;

/// <summary>
/// The body of a request that is about to be sent, so prepared that it can be read once more should the send fail. What is in
/// memory anyway is left as it is and read only then.
/// </summary>
internal readonly struct RepeatableBody
{
    private readonly HttpContent? _original;
    private readonly LiveContent? _live;

    private RepeatableBody(HttpContent? original, LiveContent? live)
    {
        _original = original;
        _live = live;
    }

    /// <summary>Prepares the content of a request, which may be exchanged for one that copies what it sends.</summary>
    /// <param name="request">The request.</param>
    /// <param name="memoryLimit">How much of a copy is kept in memory.</param>
    /// <param name="maxLength">How long a copy is made.</param>
    /// <param name="isReadAhead">Whether the copy is made before the body is sent, from it: it is made then whatever it takes.</param>
    /// <param name="callerToken">The caller's cancel.</param>
    public static RepeatableBody Prepare(
        HttpRequestMessage request, int memoryLimit, long? maxLength, bool isReadAhead, CancellationToken callerToken)
    {
        var original = request.Content;
        if (original is null || IsInMemory(original))
        {
            return new(original, null);
        }

        var spool = IsRereadable(original) ? null : new BodySpool(memoryLimit, isReadAhead ? null : maxLength, isOnlyCopy: isReadAhead);
        var live = new LiveContent(original, spool, callerToken);
        request.Content = live;
        return new(original, live);
    }

    /// <summary>Content that is not about to be sent, and is read as it is.</summary>
    public static RepeatableBody Of(HttpContent? content) => new(content, null);

    /// <summary>Writes the body once more, from its beginning.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="progress">Called whenever a part of it was read by a sending that still goes on.</param>
    /// <param name="cancellationToken">Ends the wait, also for content that takes no notice of it.</param>
    /// <exception cref="BodyNotRepeatableException">There is no copy of what could be read only once.</exception>
    public Task CopyOnceMoreAsync(Stream destination, Action progress, CancellationToken cancellationToken)
    {
        var copying = _live?.CopyOnceMoreAsync(destination, progress, cancellationToken)
            ?? _original?.CopyToAsync(destination, cancellationToken)
            ?? Task.CompletedTask;
        return copying.WaitAsync(cancellationToken);
    }

    /// <summary>Writes the body before it is sent; what can be read only once is sent from its copy then.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="progress">Called whenever a part of it was read.</param>
    /// <param name="cancellationToken">Ends the wait, also for content that takes no notice of it.</param>
    public async Task CopyAheadAsync(Stream destination, Action progress, CancellationToken cancellationToken)
    {
        if (_live is not null)
        {
            await _live.ReadAheadAsync(progress).WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        await CopyOnceMoreAsync(destination, progress, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gives the request its own content back and drops the copy.</summary>
    public void Release(HttpRequestMessage request)
    {
        if (_live is null)
        {
            return;
        }

        _live.Abandon();
        if (request.Content == _live)
        {
            request.Content = _original;
        }
    }

    /// <summary>Exact types: a derived one may do anything.</summary>
    private static bool IsInMemory(HttpContent content)
    {
        var type = content.GetType();
        return type == typeof(StringContent) || type == typeof(ByteArrayContent) || type == typeof(FormUrlEncodedContent)
            || type == typeof(ReadOnlyMemoryContent)
            || (content is JsonContent json && !IsLazy(json.Value))
            || (IsMultipart(type) && ((MultipartContent)content).All(IsInMemory));
    }

    /// <summary>
    /// A sequence that is computed while it is read may be another one the second time. An asynchronous iterator is known, whatever
    /// its elements, by being disposable.
    /// </summary>
    private static bool IsLazy(object? value) =>
        value is IAsyncEnumerable<object> or IAsyncDisposable or (IEnumerable and not (ICollection or string));

    private static bool IsRereadable(HttpContent content)
    {
        if (IsInMemory(content))
        {
            return true;
        }

        var type = content.GetType();
        return type == typeof(StreamContent)
            // Opened, not read: this is the only way to ask the stream inside, and leaves it where it is.
            ? content.ReadAsStream().CanSeek
            : IsMultipart(type) && ((MultipartContent)content).All(IsRereadable);
    }

    private static bool IsMultipart(Type type) => type == typeof(MultipartContent) || type == typeof(MultipartFormDataContent);
}

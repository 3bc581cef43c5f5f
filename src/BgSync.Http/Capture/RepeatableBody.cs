namespace BgSync.Http.Capture;

/// <summary>The body of a request, prepared so that it can be read once more should the send fail.</summary>
internal readonly struct RepeatableBody
{
    private readonly HttpContent? _original;
    private readonly LiveContent? _live;

    private RepeatableBody(HttpContent? original, LiveContent? live)
    {
        _original = original;
        _live = live;
    }

    /// <summary>Whether the transport has asked for the body in this attempt; true for a request without content.</summary>
    public bool WasAskedFor => _live is null || _live.WasAskedFor;

    /// <summary>Prepares the content of a request: it is exchanged for one that keeps it whole, until <see cref="Release"/>.</summary>
    /// <param name="request">The request.</param>
    /// <param name="memoryLimit">How much of a copy is kept in memory.</param>
    /// <param name="maxLength">How long a copy is made.</param>
    /// <param name="isReadAhead">Whether the body is sent from the copy that <see cref="CopyAheadAsync"/> makes.</param>
    /// <param name="callerToken">The caller's cancel.</param>
    public static RepeatableBody Prepare(
        HttpRequestMessage request, int memoryLimit, long? maxLength, bool isReadAhead, CancellationToken callerToken)
    {
        if (request.Content is not { } original)
        {
            return default;
        }

        var spool = !isReadAhead && IsInMemory(original) ? null : new BodySpool(memoryLimit, maxLength);
        return new(original, new LiveContent(request, spool, callerToken));
    }

    /// <summary>Content that is not about to be sent, and is read as it is.</summary>
    public static RepeatableBody Of(HttpContent? content) => new(content, null);

    /// <summary>Begins an attempt, for which the body was not asked for yet.</summary>
    public void BeginAttempt() => _live?.BeginAttempt();

    /// <summary>Has a callback called each time that a part of the body was written to the network, until <see cref="Release"/>.</summary>
    public void OnMoved(Action moved)
    {
        if (_live is not null)
        {
            _live.Moved = moved;
        }
    }

    /// <summary>Writes the body once more, from its beginning.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="progress">Called whenever a part of it was read by a sending that still goes on.</param>
    /// <param name="cancellationToken">Ends the wait, also for content that takes no notice of it.</param>
    /// <exception cref="BodyNotRepeatableException">There is no copy of a body that could be read only once.</exception>
    public Task CopyOnceMoreAsync(Stream destination, Action progress, CancellationToken cancellationToken)
    {
        var copying = _live?.CopyOnceMoreAsync(destination, progress, cancellationToken)
            ?? _original?.CopyToAsync(destination, cancellationToken)
            ?? Task.CompletedTask;
        return copying.WaitAsync(cancellationToken);
    }

    /// <summary>Writes the body before it is sent. It is sent from its copy then.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="progress">Called whenever a part of it was read.</param>
    /// <param name="cancellationToken">Ends the wait, also for content that takes no notice of it.</param>
    public async Task CopyAheadAsync(Stream destination, Action progress, CancellationToken cancellationToken)
    {
        if (_live is not null)
        {
            await _live.ReadAheadAsync(progress, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        await CopyOnceMoreAsync(destination, progress, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gives the request its own content back and drops the copy.</summary>
    public void Release() => _live?.Release();

    /// <summary>Whether each reading is the same, and costs no copy. Exact types: a derived one may do anything.</summary>
    private static bool IsInMemory(HttpContent content)
    {
        var type = content.GetType();
        return type == typeof(StringContent) || type == typeof(ByteArrayContent) || type == typeof(FormUrlEncodedContent)
            || type == typeof(ReadOnlyMemoryContent)
            || ((type == typeof(MultipartContent) || type == typeof(MultipartFormDataContent))
                && ((MultipartContent)content).All(IsInMemory));
    }
}

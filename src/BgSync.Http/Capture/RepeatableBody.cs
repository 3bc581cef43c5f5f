namespace BgSync.Http.Capture;

/// <summary>The body of a request, which can be read once more should the send fail.</summary>
/// <param name="Content">
/// Live content, or content that is not about to be sent and is read as it is; <see langword="null"/> for a request without content.
/// </param>
internal readonly record struct RepeatableBody(HttpContent? Content)
{
    /// <summary>Whether the transport has asked for the body in this attempt; true for a request without content.</summary>
    public bool WasAskedFor => Live is not { WasAskedFor: false };

    private LiveContent? Live => Content as LiveContent;

    /// <summary>
    /// Prepares the content of a request: it is exchanged for one that keeps it whole, until <see cref="Release"/>. A body that is read
    /// ahead is sent from the copy that <see cref="CopyAheadAsync"/> makes.
    /// </summary>
    public static RepeatableBody Prepare(
        HttpRequestMessage request, int memoryLimit, long? maxLength, bool isReadAhead, CancellationToken callerToken)
    {
        if (request.Content is not { } content)
        {
            return default;
        }

        var spool = !isReadAhead && IsInMemory(content) ? null : new BodySpool(memoryLimit, maxLength) { IsOnlyCopy = isReadAhead };
        return new(new LiveContent(request, spool, callerToken));
    }

    /// <inheritdoc cref="ObservedContent.BeginAttempt"/>
    public void BeginAttempt(IProgress<int> observer) => Live?.BeginAttempt(observer);

    /// <summary>Writes the body once more, from its beginning.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="progress">Told of each part, also of those that are read by a sending that still goes on.</param>
    /// <param name="cancellationToken">Ends the wait, also for content that takes no notice of it.</param>
    /// <exception cref="NotStorableException">There is no copy of a body that could be read only once.</exception>
    public Task CopyOnceMoreAsync(Stream destination, IProgress<int> progress, CancellationToken cancellationToken)
    {
        Live?.BeginAttempt(progress);
        var parts = new SendingStream(destination, progress, copying: null, cancellationToken);
        var copying = Live?.CopyOnceMoreAsync(parts, cancellationToken) ?? Content?.CopyToAsync(parts, cancellationToken);
        return copying?.WaitAsync(cancellationToken) ?? Task.CompletedTask;
    }

    /// <summary>Writes the body before it is sent. It is sent from its copy then.</summary>
    /// <inheritdoc cref="CopyOnceMoreAsync"/>
    public async Task CopyAheadAsync(Stream destination, IProgress<int> progress, CancellationToken cancellationToken)
    {
        if (Live is { } live)
        {
            live.BeginAttempt(progress);
            await live.CopyToAsync(Stream.Null, cancellationToken).ConfigureAwait(false);
        }

        await CopyOnceMoreAsync(destination, progress, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc cref="LiveContent.Release"/>
    public void Release() => Live?.Release();

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

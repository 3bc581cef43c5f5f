namespace BgSync.Http.Capture;

/// <summary>Makes a new message of what was kept of a request. A message is sent once, so each attempt needs its own.</summary>
internal static class RequestRestorer
{
    /// <param name="snapshot">The parts that were kept, but for the body.</param>
    /// <param name="content">The body, to be given the content headers; <see langword="null"/> for a request without content.</param>
    /// <param name="metadata">The entry's notes, for the handlers inside, with the request's options.</param>
    /// <param name="message">A message that has the method and the address only; <see langword="null"/> for a plain one.</param>
    /// <exception cref="FormatException">
    /// A header cannot be sent: its name or value would end the line, and begin another header.
    /// </exception>
    public static HttpRequestMessage Restore(
        RequestSnapshot snapshot,
        HttpContent? content,
        IReadOnlyDictionary<string, string>? metadata = null,
        HttpRequestMessage? message = null)
    {
        var request = message ?? new HttpRequestMessage(snapshot.Method, snapshot.Uri);
        (request.Version, request.VersionPolicy, request.Content) = (snapshot.Version, snapshot.VersionPolicy, content);
        foreach (var (name, value) in snapshot.Headers)
        {
            Restore(name, value, request.Headers.TryAddWithoutValidation);
        }

        foreach (var (name, value) in snapshot.ContentHeaders ?? [])
        {
            Restore(name, value, content!.Headers.TryAddWithoutValidation);
        }

        if (metadata is { Count: > 0 })
        {
            request.SetBackgroundSyncMetadata(metadata);
            RequestOptionsCodec.Restore(request, metadata);
        }

        return request;
    }

    private static void Restore(string name, string value, Func<string, string?, bool> add)
    {
        // The framework lets a line break through to the wire: a tampered store would become header injection.
        if (BreaksLine(name) || BreaksLine(value) || !add(name, value))
        {
            throw new FormatException("A stored header is not one that can be sent.");
        }
    }

    private static bool BreaksLine(string text) => text.AsSpan().ContainsAny('\r', '\n', '\0');
}

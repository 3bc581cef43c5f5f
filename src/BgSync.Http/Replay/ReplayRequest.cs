namespace BgSync.Http.Replay;

/// <summary>A request that is replayed. It knows how the last handler of the pipeline gave it to the connection.</summary>
/// <remarks>No queue takes it once more, nor a copy that a handler makes of it with its options.</remarks>
internal sealed class ReplayRequest : HttpRequestMessage
{
    private static readonly HttpRequestOptionsKey<bool> _key = new("BgSync.Http.Replay");

    /// <summary>Whether there was one ever. A message makes its options when it is asked for them.</summary>
    private static volatile bool _hasAny;

    public ReplayRequest(HttpMethod method, Uri uri)
        : base(method, uri)
    {
        Options.Set(_key, true);
        _hasAny = true;
    }

    /// <summary>
    /// The method and the address when the last handler passed the request on, before any redirect; <see langword="null"/> when it did
    /// not come by.
    /// </summary>
    public (HttpMethod Method, Uri Uri)? Wire { get; private set; }

    /// <summary>Whether a request is a replay.</summary>
    public static bool Is(HttpRequestMessage request) =>
        request is ReplayRequest || (_hasAny && request.Options.TryGetValue(_key, out _));

    /// <summary>Notes how the request is given to the connection.</summary>
    public void NoteWire() => Wire = (Method, RequestUri!);
}

namespace BgSync.Http.Capture;

/// <summary>A request as it is before it is sent, its body apart: a redirect changes the message.</summary>
/// <param name="request">A request with an absolute URI.</param>
/// <param name="secrets">The names of the headers that are not kept.</param>
internal readonly struct RequestCapture(HttpRequestMessage request, ISet<string> secrets)
{
    /// <summary>Why a request that <see cref="HasUserInfo"/> is not queued; completes "It was not queued, because".</summary>
    public const string UserInfoReason =
        "its address carries credentials (user:password@), which are not written down; "
        + "have a handler inside make an Authorization header of them instead";

    private readonly Version _version = request.Version;
    private readonly HttpVersionPolicy _versionPolicy = request.VersionPolicy;
    private readonly KeyValuePair<string, string>[] _headers = HeaderCapture.Copy(request.Headers, secrets);
    private readonly HttpContent? _content = request.Content;
    private readonly ISet<string> _secrets = secrets;

    public HttpMethod Method { get; } = request.Method;

    public Uri Uri { get; } = RequestAddress.WithoutUserInfo(request.RequestUri!);

    /// <summary>Whether the address carries credentials. They are not kept, so that a replay would be another request.</summary>
    public bool HasUserInfo { get; } = request.RequestUri!.UserInfo.Length > 0;

    /// <summary>Makes what is kept of it. Of most requests nothing is: they are answered.</summary>
    public RequestSnapshot ToSnapshot() => new()
    {
        Method = Method,
        Uri = Uri,
        Version = _version,
        VersionPolicy = _versionPolicy,
        Headers = _headers,
        // Handlers inside see the headers of another content, so that these are still those that the caller has set.
        ContentHeaders = _content is null ? null : HeaderCapture.Copy(_content.Headers, _secrets),
    };
}

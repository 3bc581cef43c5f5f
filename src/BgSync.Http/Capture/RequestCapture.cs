namespace BgSync.Http.Capture;

/// <summary>A request as it is before it is sent, its body apart: a redirect changes the message.</summary>
/// <param name="request">A request with an absolute URI.</param>
/// <param name="secrets">The names of the headers that are not kept.</param>
internal readonly struct RequestCapture(HttpRequestMessage request, ISet<string> secrets)
{
    private readonly Version _version = request.Version;
    private readonly HttpVersionPolicy _versionPolicy = request.VersionPolicy;
    private readonly KeyValuePair<string, string>[] _headers = HeaderCapture.Copy(request.Headers, secrets);
    private readonly KeyValuePair<string, string>[]? _contentHeaders =
        request.Content is { } content ? HeaderCapture.Copy(content.Headers, secrets) : null;

    public HttpMethod Method { get; } = request.Method;

    public Uri Uri { get; } = WithoutUserInfo(request.RequestUri!);

    /// <summary>Makes what is kept of it. Of most requests nothing is: they are answered.</summary>
    public RequestSnapshot ToSnapshot() => new()
    {
        Method = Method,
        Uri = Uri,
        Version = _version,
        VersionPolicy = _versionPolicy,
        Headers = _headers,
        ContentHeaders = _contentHeaders,
    };

    private static Uri WithoutUserInfo(Uri uri) =>
        uri.UserInfo.Length == 0 ? uri : new UriBuilder(uri) { UserName = "", Password = "" }.Uri;
}

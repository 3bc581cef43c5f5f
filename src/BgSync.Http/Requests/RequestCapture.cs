namespace BgSync.Http.Requests;

/// <summary>Takes the snapshot of a request, before it is sent: a redirect changes the message.</summary>
internal static class RequestCapture
{
    /// <param name="request">A request with an absolute URI.</param>
    /// <param name="secrets">The names of the headers that are not kept.</param>
    public static RequestSnapshot Capture(HttpRequestMessage request, ISet<string> secrets) => new()
    {
        Method = request.Method,
        Uri = WithoutUserInfo(request.RequestUri!),
        Version = request.Version,
        VersionPolicy = request.VersionPolicy,
        Headers = HeaderCapture.Copy(request.Headers, secrets),
        ContentHeaders = request.Content is { } content ? HeaderCapture.Copy(content.Headers, secrets) : null,
    };

    private static Uri WithoutUserInfo(Uri uri) =>
        uri.UserInfo.Length == 0 ? uri : new UriBuilder(uri) { UserName = "", Password = "" }.Uri;
}

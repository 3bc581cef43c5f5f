namespace BgSync.Http.Capture;

/// <summary>The addresses that a replay can go to, and their text in a store.</summary>
internal static class RequestAddress
{
    /// <summary>Stands before the address of which the path is sent as it is written; no address begins with it.</summary>
    private const string RawMark = "raw ";

    private static readonly UriCreationOptions _raw = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <exception cref="ArgumentException">The address of the request is not an absolute one of HTTP.</exception>
    public static void Require(HttpRequestMessage request)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true, Scheme: "http" or "https" })
        {
            throw new ArgumentException(
                $"'{request.RequestUri}' is not where a queued request can go. "
                + "Write the whole address, such as \"https://api.example.com/orders\".",
                nameof(request));
        }
    }

    /// <summary>The text of an absolute address, from which <see cref="Parse"/> makes one with the same target, byte for byte.</summary>
    public static string Format(Uri uri) => IsRaw(uri) ? RawMark + uri.OriginalString : uri.OriginalString;

    /// <summary>Makes the address of its text.</summary>
    /// <exception cref="UriFormatException">The text is not that of an absolute address.</exception>
    public static Uri Parse(string text) => text.StartsWith(RawMark, StringComparison.Ordinal)
        ? new Uri(text[RawMark.Length..], _raw)
        : new Uri(text, UriKind.Absolute);

    /// <summary>The same address without <c>user:password@</c>; its target stays as it is, byte for byte.</summary>
    public static Uri WithoutUserInfo(Uri uri)
    {
        if (uri.UserInfo.Length == 0)
        {
            return uri;
        }

        var text = uri.OriginalString;
        var start = text.IndexOf(':', StringComparison.Ordinal) + 1;
        start += text.AsSpan(start).IndexOfAnyExcept('/', '\\');
        var end = text.AsSpan(start).IndexOfAny("/\\?#");
        var authority = text.AsSpan(start, end < 0 ? text.Length - start : end);
        text = text.Remove(start, authority.LastIndexOf('@') + 1);
        return IsRaw(uri) ? new Uri(text, _raw) : new Uri(text, UriKind.Absolute);
    }

    /// <summary>Whether the path and query are sent as they are written, and would not be if the text were read as it is.</summary>
    private static bool IsRaw(Uri uri) => new Uri(uri.OriginalString, UriKind.Absolute).PathAndQuery != uri.PathAndQuery;
}

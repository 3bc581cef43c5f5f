namespace BgSync.Http.Capture;

/// <summary>Says which addresses a replay can go to.</summary>
internal static class RequestAddress
{
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
}

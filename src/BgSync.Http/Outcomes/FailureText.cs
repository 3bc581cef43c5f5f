namespace BgSync.Http.Outcomes;

/// <summary>Says in a few words what went wrong, for logs and entries.</summary>
internal static class FailureText
{
    private const int MaxLength = 500;

    /// <summary>
    /// The kind of the failure and its innermost message. <see cref="SocketsHttpHandler"/> puts host and port into its messages,
    /// never a query or a header value.
    /// </summary>
    public static string Of(Exception failure)
    {
        var kind = failure is HttpRequestException { HttpRequestError: not HttpRequestError.Unknown } request
            ? request.HttpRequestError.ToString()
            : failure.GetBaseException().GetType().Name;
        var text = $"{kind}: {failure.GetBaseException().Message}";
        return text.Length <= MaxLength ? text : text[..MaxLength];
    }
}

namespace TestKit;

/// <summary>A request as it stood on the wire, to be compared with another.</summary>
public static class WireText
{
    // How a body is delimited, and the trace, are of one attempt only.
    private static readonly string[] _ofOneAttempt = ["Content-Length", "Transfer-Encoding", "traceparent", "tracestate"];

    /// <summary>The head, but for what is of one attempt only.</summary>
    public static string HeadOf(RawRequest request) => string.Join('\n',
    [
        $"{request.Method} {request.Target}",
        .. request.Headers
            .Where(header => !_ofOneAttempt.Contains(header.Key, StringComparer.OrdinalIgnoreCase))
            .Select(header => $"{header.Key}: {header.Value}"),
    ]);
}

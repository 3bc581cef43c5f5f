using System.Collections.Frozen;
using System.Net.Http.Headers;

namespace BgSync.Http.Capture;

/// <summary>Copies the headers that are kept of a request, as they were written and one for each value.</summary>
internal static class HeaderCapture
{
    /// <summary>
    /// Headers of one connection (RFC 9110, 7.6.1) and of one trace: they would be wrong on another attempt. The length is
    /// known from the body.
    /// </summary>
    private static readonly FrozenSet<string> _ofOneAttempt = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "traceparent", "tracestate", "baggage", "Request-Id", "Correlation-Context",
        "Content-Length");

    /// <summary>Whether a header of this name is kept.</summary>
    public static bool IsKept(string name, ISet<string> secrets) =>
        !_ofOneAttempt.Contains(name) && !secrets.Contains(name) && !name.StartsWith("Proxy-", StringComparison.OrdinalIgnoreCase);

    /// <summary>Copies without parsing, so that a value that is legal only in the wild survives.</summary>
    public static KeyValuePair<string, string>[] Copy(HttpHeaders headers, ISet<string> secrets)
    {
        var source = headers.NonValidated;
        KeyValuePair<string, string>[] copy = source.Count == 0 ? [] : new KeyValuePair<string, string>[source.Count];
        var count = 0;
        foreach (var (name, values) in source)
        {
            foreach (var value in IsKept(name, secrets) ? values : default)
            {
                if (count == copy.Length)
                {
                    Array.Resize(ref copy, 2 * count);
                }

                copy[count++] = new(name, value);
            }
        }

        Array.Resize(ref copy, count);
        return copy;
    }
}

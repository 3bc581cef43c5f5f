using System.Text;

namespace TestKit;

/// <summary>A request as the server read it.</summary>
/// <param name="Method">The method; of an HTTP/2 request, <c>:method</c>.</param>
/// <param name="Target">The target as sent: a path, an absolute URI (to a proxy) or an authority (CONNECT).</param>
/// <param name="Headers">The header fields in the order sent, with their raw values; of an HTTP/2 request, pseudo-headers too.</param>
/// <param name="Body">The part of the body that was read, without its chunking.</param>
/// <param name="Complete">Whether the whole body was read.</param>
public sealed record RawRequest(
    string Method, string Target, IReadOnlyList<KeyValuePair<string, string>> Headers, ReadOnlyMemory<byte> Body, bool Complete)
{
    /// <summary>The body as UTF-8.</summary>
    public string Text => Encoding.UTF8.GetString(Body.Span);

    /// <summary>The values of a header, in the order sent; empty when it was not sent.</summary>
    public IReadOnlyList<string> ValuesOf(string header) =>
        [.. Headers.Where(field => field.Key.Equals(header, StringComparison.OrdinalIgnoreCase)).Select(field => field.Value)];
}

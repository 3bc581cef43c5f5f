using System.Text;

namespace TestKit;

/// <summary>
/// As much of <see href="https://www.rfc-editor.org/rfc/rfc7541">HPACK</see> as HttpClient sends: the static table and plain literals,
/// neither a dynamic table nor Huffman codes.
/// </summary>
internal static class Hpack
{
    private const int Status200 = 8;

    // RFC 7541, appendix A, from index 1.
    private static readonly (string Name, string Value)[] _staticTable =
    [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
        (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
        (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""),
        ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
        ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
        ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
        ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
        ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
        ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""),
        ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
        ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ];

    /// <summary>Decodes a header block.</summary>
    public static List<KeyValuePair<string, string>> Decode(ReadOnlySpan<byte> block)
    {
        var fields = new List<KeyValuePair<string, string>>();
        while (!block.IsEmpty)
        {
            var first = block[0];
            if ((first & 0b1000_0000) != 0)
            {
                var (name, value) = _staticTable[ReadInteger(ref block, prefixBits: 7) - 1];
                fields.Add(new(name, value));
            }
            else if ((first & 0b1110_0000) == 0b0010_0000)
            {
                // A new size of the dynamic table, which nobody uses.
                _ = ReadInteger(ref block, prefixBits: 5);
            }
            else
            {
                var index = ReadInteger(ref block, prefixBits: (first & 0b0100_0000) != 0 ? 6 : 4);
                var name = index == 0 ? ReadString(ref block) : _staticTable[index - 1].Name;
                fields.Add(new(name, ReadString(ref block)));
            }
        }

        return fields;
    }

    /// <summary>Encodes the header block of a response.</summary>
    public static byte[] EncodeResponse(int status, IEnumerable<(string Name, string Value)> headers)
    {
        using var block = new MemoryStream();
        block.WriteByte(Status200);
        WriteString(block, $"{status}");
        foreach (var (name, value) in headers)
        {
            block.WriteByte(0);
#pragma warning disable CA1308 // HTTP/2 wants names in lower case.
            WriteString(block, name.ToLowerInvariant());
#pragma warning restore CA1308
            WriteString(block, value);
        }

        return block.ToArray();
    }

    private static int ReadInteger(ref ReadOnlySpan<byte> block, int prefixBits)
    {
        var limit = (1 << prefixBits) - 1;
        var value = block[0] & limit;
        block = block[1..];
        if (value < limit)
        {
            return value;
        }

        for (var shift = 0; ; shift += 7)
        {
            var next = block[0];
            block = block[1..];
            value += (next & 0x7F) << shift;
            if ((next & 0x80) == 0)
            {
                return value;
            }
        }
    }

    private static string ReadString(ref ReadOnlySpan<byte> block)
    {
        if ((block[0] & 0x80) != 0)
        {
            throw new NotSupportedException("A Huffman-coded header: HttpClient sent none when this was written.");
        }

        var length = ReadInteger(ref block, prefixBits: 7);
        var text = Encoding.Latin1.GetString(block[..length]);
        block = block[length..];
        return text;
    }

    private static void WriteString(MemoryStream block, string text)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(text.Length, 127);
        block.WriteByte((byte)text.Length);
        block.Write(Encoding.Latin1.GetBytes(text));
    }
}

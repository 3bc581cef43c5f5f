using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace BgSync.Http.Storage.Format;

/// <summary>Headers as <c>[["name","value"],…]</c>, which keeps their order and repetition; metadata as an object.</summary>
internal static class HeaderJson
{
    // The stored text is never put into a page of HTML.
    private static readonly JsonWriterOptions _options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Write(IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        if (headers.Count == 0)
        {
            return "[]";
        }

        return Write(headers, static (json, headers) =>
        {
            json.WriteStartArray();
            foreach (var (name, value) in headers)
            {
                json.WriteStartArray();
                json.WriteStringValue(name);
                json.WriteStringValue(value);
                json.WriteEndArray();
            }

            json.WriteEndArray();
        });
    }

    public static string WriteMetadata(IReadOnlyDictionary<string, string> metadata) =>
        Write(metadata, static (json, metadata) =>
        {
            json.WriteStartObject();
            foreach (var (name, value) in metadata)
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
        });

    /// <exception cref="JsonException"><paramref name="text"/> is not what <see cref="Write"/> writes.</exception>
    public static IReadOnlyList<KeyValuePair<string, string>> Read(string text)
    {
        if (text == "[]")
        {
            return [];
        }

        var json = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
        Expect(ref json, JsonTokenType.StartArray);
        var headers = new List<KeyValuePair<string, string>>();
        while (json.Read() && json.TokenType == JsonTokenType.StartArray)
        {
            headers.Add(new(ReadString(ref json), ReadString(ref json)));
            Expect(ref json, JsonTokenType.EndArray);
        }

        return headers;
    }

    /// <exception cref="JsonException"><paramref name="text"/> is not what <see cref="WriteMetadata"/> writes.</exception>
    public static IReadOnlyDictionary<string, string> ReadMetadata(string text)
    {
        var json = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
        Expect(ref json, JsonTokenType.StartObject);
        var metadata = new Dictionary<string, string>();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            metadata[json.GetString()!] = ReadString(ref json);
        }

        return metadata;
    }

    private static string Write<T>(T value, Action<Utf8JsonWriter, T> write)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, _options))
        {
            write(json, value);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static string ReadString(ref Utf8JsonReader json)
    {
        Expect(ref json, JsonTokenType.String);
        return json.GetString()!;
    }

    private static void Expect(ref Utf8JsonReader json, JsonTokenType type)
    {
        if (!json.Read() || json.TokenType != type)
        {
            throw new JsonException($"{type} expected.");
        }
    }
}

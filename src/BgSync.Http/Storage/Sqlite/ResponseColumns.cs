using System.Text.Json;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>A response as dead letters and receipts hold it, beside its status.</summary>
internal static class ResponseColumns
{
    public const string Names = "reply_headers, reply_body, reply_is_whole";

    // The same of a file that was damaged before it was migrated.
    public const string NamesOfVersion1 = "NULL, NULL, NULL";

    public const string Parameters = "$reply_headers, $reply_body, $reply_is_whole";

    /// <summary>The values of <see cref="Parameters"/>.</summary>
    public static (string Name, object? Value)[] ValuesOf(StoredResponse? response) =>
    [
        ("$reply_headers", response is null ? null : HeaderJson.Write(response.Headers)),
        ("$reply_body", response?.Body.ToArray()),
        ("$reply_is_whole", response?.IsWhole),
    ];

    /// <summary>The values of <see cref="Parameters"/>, as they are stored.</summary>
    public static (string Name, object? Value)[] Copy(SqliteRows reader, int first) =>
    [
        ("$reply_headers", reader.GetValue(first)),
        ("$reply_body", reader.GetValue(first + 1)),
        ("$reply_is_whole", reader.GetValue(first + 2)),
    ];

    /// <summary>Reads <see cref="Names"/> from a column on.</summary>
    /// <returns><see langword="null"/> when there is none, or none that can be read.</returns>
    public static StoredResponse? Read(SqliteRows reader, int first, int? statusCode)
    {
        if (statusCode is null || reader.IsDBNull(first))
        {
            return null;
        }

        try
        {
            return new(
                statusCode.Value,
                HeaderJson.Read(reader.GetString(first)),
                reader.IsDBNull(first + 1) ? default(ReadOnlyMemory<byte>) : reader.GetBytes(first + 1),
                reader.GetBoolean(first + 2));
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

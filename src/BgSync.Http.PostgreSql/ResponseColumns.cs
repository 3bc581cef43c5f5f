using System.Text.Json;
using BgSync.Http.Storage.Format;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>A response as dead letters and receipts hold it, beside its status.</summary>
internal static class ResponseColumns
{
    /// <summary>Reads headers, body and whether that is whole from a column on.</summary>
    /// <returns><see langword="null"/> when there is none, or none that can be read.</returns>
    public static StoredResponse? Read(NpgsqlDataReader reader, int first, int? statusCode)
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
                reader.IsDBNull(first + 1) ? default(ReadOnlyMemory<byte>) : reader.GetFieldValue<byte[]>(first + 1),
                reader.GetBoolean(first + 2));
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

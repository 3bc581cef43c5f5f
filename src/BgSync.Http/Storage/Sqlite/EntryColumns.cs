using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The columns that an entry has in all tables which hold entries.</summary>
internal static class EntryColumns
{
    /// <summary>Reads <see cref="SqliteSchema.EntryColumns"/> from a column on.</summary>
    public static EntryRow Read(SqliteRows reader, int first)
    {
        return new EntryRow
        {
            Queue = Text(0),
            Lane = Text(1),
            Timestamp = Number(2) ?? 0,
            ExpiresAt = Number(3) ?? 0,
            Method = Text(4),
            Uri = Text(5),
            Origin = Text(6),
            Version = Text(7),
            VersionPolicy = Number(8) ?? 0,
            Headers = Text(9),
            ContentHeaders = Text(10),
            Metadata = Text(11),
            TraceParent = Text(12),
            Body = reader.IsDBNull(first + 13) ? null : reader.GetBytes(first + 13),
            BodyId = Number(14),
            BodyLength = Number(15) ?? 0,
            Checksum = Number(16) ?? 0,
            CoalesceKey = Text(17),
            Prerequisite = Number(18),
            Priority = Number(19) ?? 0,
        };

        string? Text(int column) => reader.IsDBNull(first + column) ? null : reader.GetString(first + column);
        long? Number(int column) => reader.IsDBNull(first + column) ? null : reader.GetInt64(first + column);
    }

    /// <summary>The values of <see cref="SqliteSchema.EntryParameters"/>, before those of the statement's own.</summary>
    public static (string Name, object? Value)[] Parameters(this EntryRow row, params ReadOnlySpan<(string Name, object? Value)> others) =>
    [
        ("$queue", row.Queue),
        ("$lane", row.Lane),
        ("$timestamp", row.Timestamp),
        ("$expires_at", row.ExpiresAt),
        ("$method", row.Method),
        ("$uri", row.Uri),
        ("$origin", row.Origin),
        ("$version", row.Version),
        ("$version_policy", row.VersionPolicy),
        ("$headers", row.Headers),
        ("$content_headers", row.ContentHeaders),
        ("$metadata", row.Metadata),
        ("$traceparent", row.TraceParent),
        ("$body", row.Body),
        ("$body_id", row.BodyId),
        ("$body_length", row.BodyLength),
        ("$checksum", row.Checksum),
        ("$coalesce_key", row.CoalesceKey),
        ("$prerequisite", row.Prerequisite),
        ("$priority", row.Priority),
        .. others,
    ];
}

using BgSync.Http.Storage.Format;
using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>The columns that make an entry, in the order of the schema's type <c>request</c>.</summary>
internal static class RequestColumns
{
    public const int Count = 21;

    private static readonly string[] _names =
    [
        "queue", "lane", "made_at", "expires_at", "method", "uri", "origin", "version", "version_policy", "headers", "content_headers",
        "metadata", "traceparent", "body_id", "body_length", "checksum", "coalesce_key", "prerequisite", "priority", "lane_name",
        "coalesce_name",
    ];

    /// <summary>The columns of a table, or of a value of the type in parentheses.</summary>
    public static string Of(string table) => string.Join(", ", _names.Select(name => $"{table}.{name}"));

    /// <summary>Reads the columns from one on.</summary>
    public static EntryRow Read(NpgsqlDataReader reader, int first)
    {
        return new EntryRow
        {
            Queue = Text(0),
            Lane = Text(19) ?? Text(1),
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
            BodyId = Number(13),
            BodyLength = Number(14) ?? 0,
            Checksum = Number(15) ?? 0,
            CoalesceKey = Text(20) ?? Text(16),
            Prerequisite = Number(17),
            Priority = Number(18) ?? 0,
        };

        string? Text(int column) => reader.IsDBNull(first + column) ? null : reader.GetString(first + column);
        long? Number(int column) => reader.IsDBNull(first + column) ? null : reader.GetInt64(first + column);
    }

    /// <summary>The same row, its body apart, with the checksum that it ought to have.</summary>
    /// <exception cref="QueueStoreException">It has text that PostgreSQL cannot hold.</exception>
    public static EntryRow Sealed(EntryRow row, long? bodyId)
    {
        StoreText.Exact(row.Queue, "queue's name");
        StoreText.Exact(row.Uri, "request's address");
        return Sealed(row with { Body = null, BodyId = bodyId, TraceParent = StoreText.Readable(row.TraceParent) });
    }

    /// <summary>The same row with the checksum that it ought to have.</summary>
    public static EntryRow Sealed(EntryRow row) => row with { Checksum = Unplaced(row).Sealed().Checksum };

    public static bool IsWhole(EntryRow row) => Unplaced(row).IsWhole;

    /// <summary>Makes the entry of a row, or says why that cannot be done.</summary>
    public static QueuedEntry? Decode(EntryRow row, long id, int attempts, string? lastError, int edits, out string? damage) =>
        Unplaced(row).Decode(id, attempts, lastError, out damage) is { } entry
            ? entry with { Lane = row.Lane!, Revision = ((long)edits << 32) + attempts }
            : null;

    // The lane is not summed, because an entry that leaves its lane does so inside the database; a key is, as it is read back.
    private static EntryRow Unplaced(EntryRow row) => row with { Lane = "", CoalesceKey = StoreText.Readable(row.CoalesceKey) };
}

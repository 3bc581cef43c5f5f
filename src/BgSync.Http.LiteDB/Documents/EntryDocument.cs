using BgSync.Http.Storage.Format;
using LiteDB;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>
/// The fields of an entry, as documents of entries, dead letters and requests written ahead have them: field by field, to be read.
/// </summary>
internal static class EntryDocument
{
    private static readonly string[] _fields =
    [
        "queue", "lane", "priority", "method", "uri", "origin", "version", "versionPolicy", "headers", "contentHeaders", "metadata",
        "timestamp", "expiresAt", "coalesceKey", "prerequisite", "traceParent", "bodyLength", "bodyId", "body", "checksum",
    ];

    public static BsonDocument Of(EntryRow row)
    {
        var document = new BsonDocument
        {
            ["queue"] = BsonText.Of(row.Queue),
            ["lane"] = BsonText.Of(row.Lane),
            ["priority"] = row.Priority,
            ["method"] = BsonText.Of(row.Method),
            ["uri"] = BsonText.Of(row.Uri),
            ["origin"] = BsonText.Of(row.Origin),
            ["version"] = BsonText.Of(row.Version),
            ["versionPolicy"] = row.VersionPolicy,
        };
        document.Put("headers", row.Headers is null ? null : NameValues.Of(HeaderJson.Read(row.Headers)));
        document.Put("contentHeaders", row.ContentHeaders is null ? null : NameValues.Of(HeaderJson.Read(row.ContentHeaders)));
        document.Put("metadata", row.Metadata is null ? null : NameValues.Of(HeaderJson.ReadMetadata(row.Metadata)));
        document.Put("timestamp", BsonTime.Of(row.Timestamp));
        document.Put("expiresAt", BsonTime.Of(row.ExpiresAt));
        document.PutText("coalesceKey", row.CoalesceKey);
        document.PutNumber("prerequisite", row.Prerequisite);
        document.PutText("traceParent", row.TraceParent);
        document["bodyLength"] = row.BodyLength;
        document.PutNumber("bodyId", row.BodyId);
        document.Put("body", row.Body is null ? null : new BsonValue(row.Body));
        document["checksum"] = row.Checksum;
        return document;
    }

    /// <summary>The fields of an entry alone, as they are stored, readable or not.</summary>
    public static BsonDocument Copy(BsonDocument document)
    {
        var copy = new BsonDocument();
        foreach (var field in _fields)
        {
            if (document.TryGetValue(field, out var value))
            {
                copy[field] = value;
            }
        }

        return copy;
    }

    public static EntryRow ToRow(BsonDocument document) => new()
    {
        Queue = document.Text("queue"),
        Lane = document.Text("lane"),
        Timestamp = document.Time("timestamp"),
        ExpiresAt = document.Time("expiresAt"),
        Method = document.Text("method"),
        Uri = document.Text("uri"),
        Origin = document.Text("origin"),
        Version = document.Text("version"),
        VersionPolicy = document.Number("versionPolicy") ?? 0,
        Headers = NameValues.Read(document.Array("headers")) is { } headers ? HeaderJson.Write(headers) : null,
        ContentHeaders = NameValues.Read(document.Array("contentHeaders")) is { } content ? HeaderJson.Write(content) : null,
        Metadata = ReadMetadata(document.Array("metadata")),
        TraceParent = document.Text("traceParent"),
        Body = document.Bytes("body"),
        BodyId = document.Number("bodyId"),
        BodyLength = document.Number("bodyLength") ?? 0,
        Checksum = document.Number("checksum") ?? 0,
        CoalesceKey = document.Text("coalesceKey"),
        Prerequisite = document.Number("prerequisite"),
        Priority = document.Number("priority") ?? 0,
    };

    private static string? ReadMetadata(BsonArray? array)
    {
        if (NameValues.Read(array) is not { } pairs)
        {
            return null;
        }

        // Of a damaged document a name may stand twice; its checksum tells then.
        var metadata = new OrderedDictionary<string, string>(pairs.Count);
        foreach (var (name, value) in pairs)
        {
            metadata[name] = value;
        }

        return HeaderJson.WriteMetadata(metadata);
    }
}

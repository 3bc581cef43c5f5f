using LiteDB;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>Reads fields of which a damaged document may lack any, or have it of another type; what is null is not written.</summary>
internal static class BsonFields
{
    public static string? Text(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && value.IsString ? value.AsString : null;

    public static long? Number(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && (value.IsInt64 || value.IsInt32) ? value.AsInt64 : null;

    public static long Time(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) ? BsonTime.Read(value) : long.MaxValue;

    public static bool Flag(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && value.IsBoolean && value.AsBoolean;

    public static byte[]? Bytes(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && value.IsBinary ? value.AsBinary : null;

    public static Guid? Guid(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && value.IsGuid ? value.AsGuid : null;

    public static BsonArray? Array(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && value.IsArray ? value.AsArray : null;

    public static BsonDocument? Document(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && value.IsDocument ? value.AsDocument : null;

    /// <summary>Sets a field, or takes it away when there is nothing to set.</summary>
    public static void Put(this BsonDocument document, string name, BsonValue? value)
    {
        if (value is null || value.IsNull)
        {
            document.Remove(name);
        }
        else
        {
            document[name] = value;
        }
    }

    public static void PutText(this BsonDocument document, string name, string? text) => document.Put(name, BsonText.Of(text));

    public static void PutNumber(this BsonDocument document, string name, long? number) =>
        document.Put(name, number is { } value ? new BsonValue(value) : null);
}

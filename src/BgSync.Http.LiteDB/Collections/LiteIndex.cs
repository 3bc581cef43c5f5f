using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>An index of a collection, or its primary key.</summary>
/// <param name="Field">
/// The field that it is over. Where that is an array, the index has a key for each item, and none for a document without it.
/// </param>
/// <param name="IsOfArray">Whether the field is an array.</param>
internal sealed record LiteIndex(string Field, bool IsOfArray = false)
{
    public static LiteIndex Id { get; } = new("_id");

    public string Expression => IsOfArray ? $"$.{Field}[*]" : $"$.{Field}";

    /// <summary>The first key that can follow that of a document.</summary>
    public BsonValue After(BsonDocument document) => document[Field] switch
    {
        { IsBinary: true } key => new BsonValue([.. key.AsBinary, (byte)0]),
        var number => new BsonValue(number.AsInt64 + 1),
    };
}

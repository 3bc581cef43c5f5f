using LiteDB;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>
/// Headers and metadata as an array of name and value. As the fields of a document they would lose their order, and LiteDB does not
/// tell names apart that differ in case only.
/// </summary>
internal static class NameValues
{
    public static BsonArray Of(IEnumerable<KeyValuePair<string, string>> pairs) => new(
        pairs.Select(static pair => new BsonDocument { ["name"] = BsonText.Of(pair.Key), ["value"] = BsonText.Of(pair.Value) }));

    /// <returns><see langword="null"/> when it is not what <see cref="Of"/> writes.</returns>
    public static List<KeyValuePair<string, string>>? Read(BsonArray? array)
    {
        if (array is null)
        {
            return null;
        }

        var pairs = new List<KeyValuePair<string, string>>(array.Count);
        foreach (var item in array)
        {
            if (!item.IsDocument || item.AsDocument.Text("name") is not { } name || item.AsDocument.Text("value") is not { } value)
            {
                return null;
            }

            pairs.Add(new(name, value));
        }

        return pairs;
    }
}

using System.Text;
using LiteDB;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>Text as LiteDB takes it.</summary>
internal static class BsonText
{
    /// <summary>LiteDB refuses half a surrogate pair, which a cut text may end in; here it becomes what UTF-8 has for it.</summary>
    public static BsonValue Of(string? text) =>
        text is null ? BsonValue.Null
        : text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF') ? Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text))
        : text;
}

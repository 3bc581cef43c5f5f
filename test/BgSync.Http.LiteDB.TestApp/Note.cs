using System.IO.Hashing;
using LiteDB;

namespace BgSync.Http.LiteDB.TestApp;

/// <summary>A document that tells whether it is whole.</summary>
internal readonly record struct Note(long Id, byte[] Text)
{
    public BsonDocument ToDocument() => new()
    {
        ["_id"] = Id,
        ["key"] = Id.ToString("x16", System.Globalization.CultureInfo.InvariantCulture),
        ["text"] = Text,
        ["checksum"] = Checksum(Id, Text),
    };

    /// <exception cref="InvalidDataException">It is not whole.</exception>
    public static Note From(BsonDocument document)
    {
        var note = new Note(document["_id"].AsInt64, document["text"].AsBinary);
        return document["checksum"].AsInt64 == Checksum(note.Id, note.Text)
            ? note
            : throw new InvalidDataException($"Note {note.Id} is damaged.");
    }

    /// <summary>A note of some bytes to some pages, the same for each id.</summary>
    public static Note Of(long id)
    {
        var random = new Random((int)id);
        var text = new byte[random.Next(4) == 0 ? random.Next(30_000) : random.Next(2_000)];
        random.NextBytes(text);
        return new Note(id, text);
    }

    private static long Checksum(long id, byte[] text) => (long)XxHash3.HashToUInt64(text, id);
}

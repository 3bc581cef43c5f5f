using System.Buffers.Binary;
using LiteDB;

namespace BgSync.Http.LiteDB.Files;

/// <summary>The first page of a file.</summary>
internal readonly struct LiteHeader
{
    // "BGS", so that the file of another application is not taken for a store.
    private const int Application = 0x42_47_53;

    private const int SignatureAt = 32;
    private const int UserVersionAt = 76;
    private const int CollectionsAt = 192;
    private const int CollectionsSize = 8000;

    private readonly byte[] _page;
    private readonly int _userVersion;

    public LiteHeader(byte[] page)
    {
        _page = page;
        _userVersion = BinaryPrimitives.ReadInt32LittleEndian(page.AsSpan(UserVersionAt));
    }

    /// <summary>Whether it is a file of LiteDB 5.</summary>
    public bool IsLiteDB => _page.AsSpan(SignatureAt).StartsWith("** This is a LiteDB file **\x08"u8);

    /// <summary>Whether the file is this library's.</summary>
    public bool IsOurs => IsLiteDB && _userVersion >> 8 == Application;

    /// <summary>The version of the schema, where the file is this library's.</summary>
    public byte Version => (byte)_userVersion;

    /// <summary>Whether nobody has put anything into the file.</summary>
    public bool IsUnused => IsLiteDB && _userVersion == 0 && BinaryPrimitives.ReadInt32LittleEndian(_page.AsSpan(CollectionsAt)) <= 5;

    public static int ToUserVersion(byte version) => (Application << 8) | version;

    /// <summary>The names of the collections by the numbers of their pages; empty when they cannot be read.</summary>
    public Dictionary<uint, string> ReadCollections()
    {
        try
        {
            var document = BsonSerializer.Deserialize(_page[CollectionsAt..(CollectionsAt + CollectionsSize)]);
            return document.ToDictionary(collection => (uint)collection.Value.AsInt32, collection => collection.Key);
        }
        catch (Exception)
        {
            return [];
        }
    }
}

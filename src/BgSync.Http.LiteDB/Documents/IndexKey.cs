using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace BgSync.Http.LiteDB.Documents;

/// <summary>
/// Keys of indexes over several fields: LiteDB indexes one value of at most 1,023 bytes, so names stand in them as hashes, and numbers
/// so that bytes sort as they do. No culture has a say in bytes.
/// </summary>
internal static class IndexKey
{
    public const int HashLength = 16;

    /// <summary>The end of all hashes.</summary>
    public static byte[] Last { get; } = [.. Enumerable.Repeat(byte.MaxValue, HashLength)];

    /// <summary>A name of any length.</summary>
    public static byte[] Hash(string name) => SHA256.HashData(Encoding.UTF8.GetBytes(name))[..HashLength];

    public static byte[] Of(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second) => [.. first, .. second];

    /// <summary>A key of names, then numbers; <see cref="long.MinValue"/> and <see cref="long.MaxValue"/> bound a range.</summary>
    public static byte[] Of(ReadOnlySpan<byte> names, params ReadOnlySpan<long> numbers)
    {
        var key = new byte[names.Length + (numbers.Length * sizeof(long))];
        names.CopyTo(key);
        for (var i = 0; i < numbers.Length; i++)
        {
            BinaryPrimitives.WriteInt64BigEndian(key.AsSpan(names.Length + (i * sizeof(long))), numbers[i] ^ long.MinValue);
        }

        return key;
    }

    /// <summary>Reads a number of a key that <see cref="Of(ReadOnlySpan{byte}, ReadOnlySpan{long})"/> has made.</summary>
    public static long NumberAt(ReadOnlySpan<byte> key, int offset) =>
        BinaryPrimitives.ReadInt64BigEndian(key[offset..]) ^ long.MinValue;
}

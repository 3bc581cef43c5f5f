using System.IO.Hashing;

namespace BgSync.Http.Storage.Format;

/// <summary>How a body is cut up.</summary>
internal static class ChunkedBody
{
    public const int ChunkSize = 256 * 1024;

    /// <summary>Bound to the chunk's place, so that a chunk of another body or another place is not taken for it.</summary>
    public static long Checksum(ReadOnlySpan<byte> bytes, long bodyId, int number) =>
        (long)XxHash3.HashToUInt64(bytes, seed: (bodyId << 24) ^ number);
}

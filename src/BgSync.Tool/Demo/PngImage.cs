using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace BgSync.Tool.Demo;

/// <summary>
/// Makes pictures that every viewer opens: a colour gradient under noise, so that they are as large as photographs.
/// The same seed and size give the same picture (<see href="https://www.w3.org/TR/png-3/">PNG</see>, 8-bit RGB).
/// </summary>
internal static class PngImage
{
    private const int BytesPerPixel = 3;

    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', (byte)'\r', (byte)'\n', 0x1A, (byte)'\n'];

    /// <summary>Writes a square picture of about <paramref name="size"/> bytes.</summary>
    public static void Write(Stream output, int seed, long size)
    {
        var side = (int)Math.Sqrt(size / (double)BytesPerPixel);
        output.Write(Signature);
        WriteChunk(output, "IHDR"u8, Header(side));
        WriteChunk(output, "IDAT"u8, Pixels(side, seed));
        WriteChunk(output, "IEND"u8, []);
    }

    private static byte[] Header(int side)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, side);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), side);
        header[8] = 8; // bits a sample
        header[9] = 2; // RGB
        return header;
    }

    private static ReadOnlySpan<byte> Pixels(int side, int seed)
    {
        var noise = new Random(seed);
        var compressed = new MemoryStream();
        using (ZLibStream zlib = new(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            var row = new byte[1 + (side * BytesPerPixel)]; // the first byte: no filter
            for (int y = 0; y < side; y++)
            {
                noise.NextBytes(row.AsSpan(1));
                Shade(row.AsSpan(1), side, y);
                zlib.Write(row);
            }
        }

        return compressed.GetBuffer().AsSpan(0, (int)compressed.Length);
    }

    /// <summary>Lays the gradient under a row of noise, half and half.</summary>
    private static void Shade(Span<byte> row, int side, int y)
    {
        for (int x = 0; x < side; x++)
        {
            var pixel = row.Slice(x * BytesPerPixel, BytesPerPixel);
            pixel[0] = (byte)((pixel[0] >> 1) + (127 * x / side));
            pixel[1] = (byte)((pixel[1] >> 1) + (127 * y / side));
            pixel[2] = (byte)((pixel[2] >> 1) + (127 * (side - x) / side));
        }
    }

    private static void WriteChunk(Stream output, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Span<byte> number = stackalloc byte[sizeof(uint)];
        var checksum = new Crc32();
        checksum.Append(type);
        checksum.Append(data);

        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        output.Write(number);
        output.Write(type);
        output.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(number, checksum.GetCurrentHashAsUInt32());
        output.Write(number);
    }
}

using System.Globalization;

namespace TestKit;

/// <summary>Reads the body of an HTTP/1.1 request, sized or chunked.</summary>
internal static class Http1Body
{
    /// <summary>Copies the body, or its first <paramref name="limit"/> bytes.</summary>
    /// <returns>Whether the whole body was read.</returns>
    public static Task<bool> CopyAsync(
        WireReader reader, string? contentLength, bool chunked, Stream destination, long limit, CancellationToken cancellationToken)
    {
        if (chunked)
        {
            return CopyChunksAsync(reader, destination, limit, cancellationToken);
        }

        var length = contentLength is null ? 0 : long.Parse(contentLength, CultureInfo.InvariantCulture);
        return CopySizedAsync(reader, destination, length, limit, cancellationToken);
    }

    private static async Task<bool> CopySizedAsync(
        WireReader reader, Stream destination, long length, long limit, CancellationToken cancellationToken)
    {
        await reader.CopyToAsync(destination, Math.Min(length, limit), cancellationToken);
        return length <= limit;
    }

    private static async Task<bool> CopyChunksAsync(
        WireReader reader, Stream destination, long limit, CancellationToken cancellationToken)
    {
        while (limit > 0)
        {
            var size = long.Parse(
                (await reader.ReadLineAsync(cancellationToken)).Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            var wanted = Math.Min(size, limit);
            await reader.CopyToAsync(destination, wanted, cancellationToken);
            if (wanted < size)
            {
                return false;
            }

            // The end of a chunk; after the last one, of the (unused) trailers.
            var line = await reader.ReadLineAsync(cancellationToken);
            if (size == 0)
            {
                while (line.Length > 0)
                {
                    line = await reader.ReadLineAsync(cancellationToken);
                }

                return true;
            }

            limit -= size;
        }

        return false;
    }
}

using BgSync.Http.LiteDB.Collections;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;

namespace BgSync.Http.LiteDB;

/// <summary>Writes a body in chunks, a commit for each call.</summary>
internal sealed class LiteBodyWriter(LiteWriter writer, long id) : IStoredBodyWriter
{
    private int _chunks;

    public long Id => id;

    public long Length { get; private set; }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellationToken)
    {
        if (chunk.IsEmpty)
        {
            return;
        }

        _chunks = await writer.RunAsync(session => Append(session, chunk.Span, _chunks), cancellationToken).ConfigureAwait(false);
        Length += chunk.Length;
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await writer.RunAsync(
                session =>
                {
                    BodyCollection.Abandon(session, id);
                    return true;
                },
                CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is QueueStoreException or ObjectDisposedException)
        {
            // An abandoned body is deleted when the file is opened again; the caller has an exception of its own to tell of.
        }
    }

    private int Append(LiteSession session, ReadOnlySpan<byte> bytes, int number)
    {
        for (; bytes.Length > 0; number++)
        {
            var part = bytes[..Math.Min(bytes.Length, ChunkedBody.ChunkSize)];
            BodyCollection.Append(session, id, number, part.ToArray());
            bytes = bytes[part.Length..];
        }

        return number;
    }
}

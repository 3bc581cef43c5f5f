using BgSync.Http.Storage.Format;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>Writes a body in chunks, a commit for each call.</summary>
internal sealed class SqliteBodyWriter(SqliteWriter writer, long id) : IStoredBodyWriter
{
    // SQLite's provider takes whole arrays; most chunks are of this size, and share this one.
    private readonly byte[] _chunk = new byte[ChunkedBody.ChunkSize];
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
                    BodyTable.Abandon(session, id);
                    return true;
                },
                CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is QueueStoreException or ObjectDisposedException)
        {
            // An abandoned body is swept when its owner is gone; the caller has an exception of its own to tell of.
        }
    }

    private int Append(SqliteSession session, ReadOnlySpan<byte> bytes, int number)
    {
        for (; bytes.Length > 0; number++)
        {
            var part = bytes[..Math.Min(bytes.Length, ChunkedBody.ChunkSize)];
            var stored = part.Length == _chunk.Length ? _chunk : new byte[part.Length];
            part.CopyTo(stored);
            BodyTable.Append(session, id, number, stored, ChunkedBody.Checksum(part, id, number));
            bytes = bytes[part.Length..];
        }

        return number;
    }
}

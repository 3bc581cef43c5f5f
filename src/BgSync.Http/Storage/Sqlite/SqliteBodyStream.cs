using System.Buffers;
using BgSync.Http.Storage.Format;
using Microsoft.Data.Sqlite;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>Reads a body chunk by chunk, each checked before any of it is passed on.</summary>
internal sealed class SqliteBodyStream(SqliteReaders readers, long bodyId, long length) : OneWayStream
{
    private byte[] _chunk = [];
    private int _chunkLength;
    private int _chunkOffset;
    private int _nextChunk;
    private long _left = length;
    private bool _disposed;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (buffer.IsEmpty || _left == 0)
        {
            return 0;
        }

        if (_chunkOffset == _chunkLength)
        {
            _chunkLength = await readers.ReadAsync(LoadChunk, cancellationToken).ConfigureAwait(false);
            _chunkOffset = 0;
            _nextChunk++;
        }

        var count = Math.Min(buffer.Length, _chunkLength - _chunkOffset);
        _chunk.AsMemory(_chunkOffset, count).CopyTo(buffer);
        _chunkOffset += count;
        _left -= count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (!_disposed)
        {
            _disposed = true;
            GiveChunkBack();
        }

        base.Dispose(disposing);
    }

    private int LoadChunk(SqliteSession session)
    {
        if (BodyTable.FindChunk(session, bodyId, _nextChunk) is not { } chunk || chunk.Length == 0 || chunk.Length > _left)
        {
            throw Damaged();
        }

        if (_chunk.Length < chunk.Length)
        {
            GiveChunkBack();
            _chunk = ArrayPool<byte>.Shared.Rent(chunk.Length);
        }

        var bytes = _chunk.AsSpan(0, chunk.Length);
        using (var blob = new SqliteBlob(session.Connection, "body_chunk", "bytes", chunk.RowId, readOnly: true))
        {
            blob.ReadExactly(bytes);
        }

        return ChunkedBody.Checksum(bytes, bodyId, _nextChunk) == chunk.Checksum ? chunk.Length : throw Damaged();
    }

    private void GiveChunkBack()
    {
        if (_chunk.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_chunk);
            _chunk = [];
        }
    }

    private InvalidDataException Damaged() =>
        new($"Chunk {_nextChunk} of body {bodyId} is missing or damaged: what is stored is not what was written.");
}

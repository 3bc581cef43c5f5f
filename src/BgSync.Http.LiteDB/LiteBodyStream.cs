using BgSync.Http.Requests;
using BgSync.Http.Storage.LiteDB.Collections;

namespace BgSync.Http.Storage.LiteDB;

/// <summary>Reads a body chunk by chunk, each checked before any of it is passed on.</summary>
internal sealed class LiteBodyStream(LiteWriter writer, long bodyId, long length) : ForwardStream
{
    private ReadOnlyMemory<byte> _chunk;
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

        if (_chunk.IsEmpty)
        {
            // A damaged chunk is no failure of those who share the transaction.
            _chunk = await writer.RunAsync(LoadChunk, cancellationToken).ConfigureAwait(false) ?? throw new InvalidDataException(
                $"Chunk {_nextChunk} of body {bodyId} is missing or damaged: what is stored is not what was written.");
            _nextChunk++;
        }

        var count = Math.Min(buffer.Length, _chunk.Length);
        _chunk[..count].CopyTo(buffer);
        _chunk = _chunk[count..];
        _left -= count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        base.Dispose(disposing);
    }

    private byte[]? LoadChunk(LiteSession session) =>
        BodyCollection.FindChunk(session, bodyId, _nextChunk) is { Length: > 0 } chunk && chunk.Length <= _left ? chunk : null;
}

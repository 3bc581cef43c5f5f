using BgSync.Http.Requests;

namespace BgSync.Http.PostgreSql;

/// <summary>Reads a body chunk by chunk, each by a short query of its own, and checked before any of it is passed on.</summary>
internal sealed class PostgreSqlBodyStream(PostgreSqlReader reader, long bodyId, long length) : ForwardStream
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
            _chunk = await reader.ReadChunkAsync(bodyId, _nextChunk, cancellationToken).ConfigureAwait(false) is { Length: > 0 } chunk
                && chunk.Length <= _left ? chunk : throw Damaged();
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
        _chunk = default;
        base.Dispose(disposing);
    }

    private InvalidDataException Damaged() =>
        new($"Chunk {_nextChunk} of body {bodyId} is missing or damaged: what is stored is not what was written.");
}

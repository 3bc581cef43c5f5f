namespace BgSync.Http.Storage.Format;

/// <summary>Reads a body chunk by chunk, each checked before any of it is passed on.</summary>
/// <param name="bodyId">The body.</param>
/// <param name="length">Its length in bytes.</param>
/// <param name="load">Reads a chunk by its number; <see langword="null"/> when it is missing or not what was written.</param>
internal sealed class ChunkedBodyStream(long bodyId, long length, Func<int, CancellationToken, Task<byte[]?>> load) : OneWayStream
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
            _chunk = await load(_nextChunk, cancellationToken).ConfigureAwait(false) is { Length: > 0 } chunk && chunk.Length <= _left
                ? chunk
                : throw new InvalidDataException(
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
        _chunk = default;
        base.Dispose(disposing);
    }
}

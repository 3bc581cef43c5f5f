using BgSync.Http.Capture;
using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>
/// Takes a body on its way into the store: a small one stays in memory and goes in with its entry, a larger one goes in chunk by
/// chunk, so that memory stays flat at any size.
/// </summary>
internal sealed class EntryBodyStream(IQueueStore store, int inlineLimit, long? maxLength, Action progress) : WriteOnlyStream
{
    private const int ChunkLength = 256 * 1024;

    // Not pooled: a store that was given up waiting for may still be reading it.
    private byte[] _buffer = [];
    private int _buffered;
    private long _length;
    private IStoredBodyWriter? _writer;
    private bool _taken;
    private volatile bool _disposed;

    /// <summary>
    /// The body, once all is written. The store's part of it lives until this stream is disposed of, or the entry takes it.
    /// </summary>
    public async ValueTask<EntryBody> CompleteAsync(CancellationToken cancellationToken)
    {
        if (_writer is null)
        {
            return EntryBody.FromBytes(_buffer.AsMemory(0, _buffered));
        }

        await FlushChunkAsync(cancellationToken).ConfigureAwait(false);
        return EntryBody.FromWriter(_writer);
    }

    /// <summary>Says that the entry is stored, and the body with it.</summary>
    public void Taken() => _taken = true;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // Content that was given up waiting for may come back to life.
        ObjectDisposedException.ThrowIf(_disposed, this);
        progress();
        _length += buffer.Length;
        if (_length > maxLength)
        {
            throw new BodyNotRepeatableException($"its body is larger than MaxBodyLength ({maxLength} bytes)");
        }

        while (!buffer.IsEmpty)
        {
            var limit = _writer is null ? inlineLimit : ChunkLength;
            if (_buffered == limit)
            {
                _writer ??= await store.BeginBodyAsync(cancellationToken).ConfigureAwait(false);
                await FlushChunkAsync(cancellationToken).ConfigureAwait(false);
                continue;
            }

            var part = Math.Min(buffer.Length, limit - _buffered);
            Reserve(_buffered + part, limit);
            buffer.Span[..part].CopyTo(_buffer.AsSpan(_buffered));
            _buffered += part;
            buffer = buffer[part..];
        }
    }

    public override void Write(ReadOnlySpan<byte> buffer) => WriteAsync(buffer.ToArray()).AsTask().GetAwaiter().GetResult();

    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override async ValueTask DisposeAsync()
    {
        _disposed = true;
        if (_writer is not null && !_taken)
        {
            await _writer.DisposeAsync().ConfigureAwait(false);
        }

        await base.DisposeAsync().ConfigureAwait(false);
    }

    private async ValueTask FlushChunkAsync(CancellationToken cancellationToken)
    {
        if (_buffered > 0)
        {
            await _writer!.WriteAsync(_buffer.AsMemory(0, _buffered), cancellationToken).ConfigureAwait(false);
            _buffered = 0;
        }
    }

    private void Reserve(int length, int limit)
    {
        if (length > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Min(limit, Math.Max(length, Math.Max(1024, _buffer.Length * 2))));
        }
    }
}

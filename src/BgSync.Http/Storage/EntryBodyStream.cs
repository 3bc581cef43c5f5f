using BgSync.Http.Capture;
using BgSync.Http.Outcomes;

namespace BgSync.Http.Storage;

/// <summary>
/// Takes a body on its way into the store: a small one stays in memory and goes in with its entry, a larger one goes in chunk by
/// chunk, so that memory stays flat at any size.
/// </summary>
internal sealed class EntryBodyStream(IQueueStore store, BackgroundSyncOptions options, Attempt write) : OneWayStream
{
    private const int ChunkLength = 256 * 1024;

    private readonly int _inlineLimit = options.Capture.InlineBodyLength;
    private readonly long? _maxLength = options.Limits.MaxBodyLength;

    // Not pooled: a store that was given up waiting for may still be reading it.
    private byte[] _buffer = [];
    private byte[] _start = [];
    private int _buffered;
    private long _length;
    private IStoredBodyWriter? _writer;
    private Task<bool>? _late;
    private bool _isTaken;
    private volatile bool _isDisposed;

    public override bool CanWrite => true;

    /// <summary>Whether the body, as far as it was written, is in memory.</summary>
    private bool IsInline => _writer is null;

    /// <summary>The first bytes of the body, as far as it was written.</summary>
    public ReadOnlySpan<byte> Start => IsInline ? _buffer.AsSpan(0, _buffered) : _start;

    /// <summary>
    /// The body, once all is written. The store's part of it lives until this stream is disposed of, or the entry takes it.
    /// </summary>
    public async ValueTask<EntryBody> CompleteAsync()
    {
        if (IsInline)
        {
            return EntryBody.FromBytes(_buffer.AsMemory(0, _buffered));
        }

        await FlushChunkAsync(write.Token).AsTask().WaitAsync(write.Token).ConfigureAwait(false);
        return EntryBody.FromWriter(_writer!);
    }

    /// <summary>Cancelled when the store or the body has made no progress for too long, or by the caller.</summary>
    public CancellationToken Allowed => write.Token;

    /// <summary>Waits for a change of the store that takes the body with it, no longer than is allowed.</summary>
    /// <param name="change">The change.</param>
    /// <param name="isMade">Whether the change was made, by its result.</param>
    /// <param name="whenLate">
    /// Undoes or publishes a change that was made after nobody waited for it. The caller was told that nothing is queued.
    /// </param>
    /// <exception cref="OperationCanceledException">The store is late.</exception>
    public async Task<T> StoreAsync<T>(Task<T> change, Func<T, bool> isMade, Func<T, Task> whenLate)
    {
        try
        {
            var result = await change.WaitAsync(write.Token).ConfigureAwait(false);
            _isTaken = isMade(result);
            return result;
        }
        catch (OperationCanceledException) when (!change.IsCanceled && !change.IsFaulted)
        {
            _late = EndLateAsync();
            throw;
        }

        async Task<bool> EndLateAsync()
        {
            await ((Task)change).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!change.IsCompletedSuccessfully || !isMade(change.Result))
            {
                return false;
            }

            await whenLate(change.Result).ConfigureAwait(false);
            return true;
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // Content that was given up waiting for may come back to life.
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        write.Restart();
        _length += buffer.Length;
        if (_length > _maxLength)
        {
            throw new NotStorableException($"its body is larger than MaxBodyLength ({_maxLength} bytes)");
        }

        while (!buffer.IsEmpty)
        {
            var limit = IsInline ? _inlineLimit : ChunkLength;
            if (_buffered == limit)
            {
                _writer ??= await BeginAsync(cancellationToken).ConfigureAwait(false);
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

    /// <summary>Drops what the store has of the body, unless an entry took it. A store that is late is not waited for.</summary>
    public override async ValueTask DisposeAsync()
    {
        _isDisposed = true;
        if (!IsInline && !_isTaken)
        {
            var dropping = DropAsync(_writer!, _late);
            if (!write.IsCancellationRequested)
            {
                await dropping.WaitAsync(write.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Never throws: a body that is left over is dropped when its process has ended.</summary>
    private static async Task DropAsync(IStoredBodyWriter writer, Task<bool>? late)
    {
        if (late is not null && await late.ConfigureAwait(false))
        {
            return;
        }

        try
        {
            await writer.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is QueueStoreException or ObjectDisposedException)
        {
            // The store drops it later.
        }
    }

    private async ValueTask<IStoredBodyWriter> BeginAsync(CancellationToken cancellationToken)
    {
        var writer = await store.BeginBodyAsync(cancellationToken).ConfigureAwait(false);
        if (_isDisposed)
        {
            await DropAsync(writer, late: null).ConfigureAwait(false);
        }

        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return writer;
    }

    private async ValueTask FlushChunkAsync(CancellationToken cancellationToken)
    {
        if (_buffered > 0)
        {
            if (_start.Length < FormSecrets.StartLength)
            {
                _start = [.. _start, .. _buffer.AsSpan(0, Math.Min(_buffered, FormSecrets.StartLength - _start.Length))];
            }

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

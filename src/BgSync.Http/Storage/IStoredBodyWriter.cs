namespace BgSync.Http.Storage;

/// <summary>A body on its way into the store, chunk by chunk. Used by one caller at a time.</summary>
internal interface IStoredBodyWriter : IAsyncDisposable
{
    /// <summary>The body's id in its store.</summary>
    long Id { get; }

    /// <summary>The bytes written so far.</summary>
    long Length { get; }

    /// <summary>Appends a chunk. Chunks of 64 KiB to 1 MiB serve best.</summary>
    /// <exception cref="QueueStoreException">The chunk cannot be stored.</exception>
    ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellationToken);
}

namespace BgSync.Http.Storage.Memory;

/// <summary>A body that is being written.</summary>
internal sealed class MemoryBody(long id, Action<MemoryBody> abandon) : IStoredBodyWriter
{
    private readonly MemoryStream _bytes = new();

    public long Id => id;

    public long Length => _bytes.Length;

    public ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellationToken) =>
        _bytes.WriteAsync(chunk, cancellationToken);

    public byte[] ToArray() => _bytes.ToArray();

    public ValueTask DisposeAsync()
    {
        abandon(this);
        return ValueTask.CompletedTask;
    }
}

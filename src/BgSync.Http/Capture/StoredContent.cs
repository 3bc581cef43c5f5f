namespace BgSync.Http.Capture;

/// <summary>A stored body as content. It is opened anew for each send, so that handlers inside may send it again.</summary>
/// <param name="open">Opens the body at its beginning.</param>
/// <param name="length">Its length.</param>
internal sealed class StoredContent(Func<CancellationToken, ValueTask<Stream>> open, long length) : ObservedContent
{
    /// <param name="bytes">The body.</param>
    public StoredContent(ReadOnlyMemory<byte> bytes)
        : this(_ => new(new ReadOnlyMemoryContent(bytes).ReadAsStream(CancellationToken.None)), bytes.Length)
    {
    }

    protected override Task<Stream> OpenAsync(bool isAsync, CancellationToken cancellationToken) => open(cancellationToken).AsTask();

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return true;
    }
}

using System.Net;
using System.Runtime.InteropServices;

namespace BgSync.Http.Capture;

/// <summary>A stored body as content. It is opened anew for each send, so that handlers inside may send it again.</summary>
internal sealed class StoredContent : ObservedContent
{
    private readonly Func<CancellationToken, ValueTask<Stream>>? _open;
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly long _length;

    /// <param name="open">Opens the body at its beginning.</param>
    /// <param name="length">Its length.</param>
    public StoredContent(Func<CancellationToken, ValueTask<Stream>> open, long length)
    {
        _open = open;
        _length = length;
    }

    /// <param name="bytes">The body.</param>
    public StoredContent(ReadOnlyMemory<byte> bytes)
    {
        _bytes = bytes;
        _length = bytes.Length;
    }

    protected override async Task SendAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken)
    {
        var destination = new SendingStream(network, spool: null, this, cancellationToken);
        var body = await OpenAsync(isAsync, cancellationToken).ConfigureAwait(false);
        if (isAsync)
        {
            await using (body.ConfigureAwait(false))
            {
                await body.CopyToAsync(destination, SendingStream.PartLength, cancellationToken).ConfigureAwait(false);
            }
        }
        else
        {
            using (body)
            {
                body.CopyTo(destination, SendingStream.PartLength);
            }
        }
    }

    protected override Task<Stream> OpenAsync(bool isAsync, CancellationToken cancellationToken)
    {
        if (_open is null)
        {
            var bytes = MemoryMarshal.TryGetArray(_bytes, out var array) ? array : new(_bytes.ToArray());
            return Task.FromResult<Stream>(new MemoryStream(bytes.Array!, bytes.Offset, bytes.Count, writable: false));
        }

        var opening = _open(cancellationToken).AsTask();
        return isAsync ? opening : Task.FromResult(opening.GetAwaiter().GetResult());
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _length;
        return true;
    }
}

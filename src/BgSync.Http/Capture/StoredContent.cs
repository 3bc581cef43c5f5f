using System.Net;

namespace BgSync.Http.Capture;

/// <summary>A stored body as content. It is opened anew for each send, so that handlers inside may send it again.</summary>
internal sealed class StoredContent(Func<CancellationToken, ValueTask<Stream>> open, long length) : HttpContent
{
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var body = await open(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            await body.CopyToAsync(stream, cancellationToken).ConfigureAwait(false);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task<Stream> CreateContentReadStreamAsync() =>
        await open(CancellationToken.None).ConfigureAwait(false);

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return true;
    }
}

using System.Net;

namespace BgSync.Http.Responses;

/// <summary>The content of a response, of which the start may have been read before. It is read once, unless it is buffered.</summary>
internal sealed class ResponseContent : HttpContent
{
    private readonly ResponseStream _body;
    private readonly HttpContent? _original;
    private bool _isRead;

    /// <param name="body">The body.</param>
    /// <param name="original">The content that was read from: its headers are these, and it is disposed of with this one.</param>
    public ResponseContent(ResponseStream body, HttpContent? original = null)
    {
        _body = body;
        _original = original;
        foreach (var (name, values) in original?.Headers.NonValidated ?? default)
        {
            Headers.TryAddWithoutValidation(name, values);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        Read().CopyToAsync(stream, cancellationToken);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        Read().CopyTo(stream);

    protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult<Stream>(Read());

    protected override Stream CreateContentReadStream(CancellationToken cancellationToken) => Read();

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _original?.Dispose();
        }

        base.Dispose(disposing);
    }

    private ResponseStream Read()
    {
        if (_isRead)
        {
            throw new InvalidOperationException("The body of the response was read already. Buffer it to read it again.");
        }

        _isRead = true;
        return _body;
    }
}

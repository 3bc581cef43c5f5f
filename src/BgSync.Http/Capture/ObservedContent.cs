using System.Net;

namespace BgSync.Http.Capture;

/// <summary>
/// Content that is handed to the transport in place of another. It knows whether the transport has asked for it, and reports each part
/// that has gone out.
/// </summary>
internal abstract class ObservedContent : HttpContent, IProgress<int>
{
    private volatile bool _wasAskedFor;
    private volatile bool _isBuffered;
    private volatile IProgress<int>? _observer;

    /// <summary>
    /// Whether the body was asked for since <see cref="BeginAttempt"/>, or may have been: a body that a handler has read into memory is
    /// sent from there, and nobody sees it go.
    /// </summary>
    public virtual bool WasAskedFor => _wasAskedFor;

    /// <summary>Begins an attempt, for which the body was not asked for yet.</summary>
    /// <param name="observer">Told of each part of the body that has moved.</param>
    public void BeginAttempt(IProgress<int> observer)
    {
        _observer = observer;
        _wasAskedFor = _isBuffered;
    }

    void IProgress<int>.Report(int value) => _observer?.Report(value);

    /// <summary>Opens the body at its beginning, synchronously where a thread waits for it.</summary>
    protected abstract Task<Stream> OpenAsync(bool isAsync, CancellationToken cancellationToken);

    /// <summary>Writes the body from its beginning, synchronously where a thread waits for it.</summary>
    protected virtual Task SendAsync(Stream network, TransportContext? context, bool isAsync, CancellationToken cancellationToken) =>
        SendOpenedAsync(new SendingStream(network, this, copying: null, cancellationToken), isAsync, cancellationToken);

    /// <summary>Opens the body and writes it.</summary>
    protected async Task SendOpenedAsync(SendingStream destination, bool isAsync, CancellationToken cancellationToken)
    {
        var body = await OpenAsync(isAsync, cancellationToken).ConfigureAwait(false);
        await using var closing = body.ConfigureAwait(false);
        if (isAsync)
        {
            await body.CopyToAsync(destination, SendingStream.PartLength, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            body.CopyTo(destination, SendingStream.PartLength);
        }
    }

    protected sealed override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        SendAsync(AskedFor(stream), context, isAsync: true, cancellationToken);

    protected sealed override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected sealed override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        SendAsync(AskedFor(stream), context, isAsync: false, cancellationToken).GetAwaiter().GetResult();

    protected sealed override Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
    {
        _wasAskedFor = true;
        return OpenAsync(isAsync: true, cancellationToken);
    }

    protected sealed override Stream CreateContentReadStream(CancellationToken cancellationToken)
    {
        _wasAskedFor = true;
        return OpenAsync(isAsync: false, cancellationToken).GetAwaiter().GetResult();
    }

    private Stream AskedFor(Stream destination)
    {
        _wasAskedFor = true;
        // HttpContent's own buffer: from now on the transport is served from it.
        _isBuffered |= destination.GetType().DeclaringType == typeof(HttpContent);
        return destination;
    }
}

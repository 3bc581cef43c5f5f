using System.Net;
using BgSync.Http.Outcomes;

namespace BgSync.Http.Responses;

/// <summary>The body of a response, which is read into memory within a time; as a stream it is read as it comes.</summary>
internal sealed class TimedContent : HttpContent
{
    private readonly HttpContent _inner;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _timeProvider;

    /// <param name="inner">The body.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="timeProvider">The timers.</param>
    public TimedContent(HttpContent inner, TimeSpan timeout, TimeProvider timeProvider)
    {
        _inner = inner;
        _timeout = timeout;
        _timeProvider = timeProvider;
        foreach (var (name, values) in inner.Headers.NonValidated)
        {
            Headers.TryAddWithoutValidation(name, values);
        }
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var reading = new Attempt(_timeout, _timeProvider, cancellationToken);
        try
        {
            await _inner.CopyToAsync(stream, context, reading.Token).WaitAsync(reading.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (reading.IsTimedOut)
        {
            throw reading.ToCallerException(e);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var reading = new Attempt(_timeout, _timeProvider, cancellationToken);
        try
        {
            _inner.CopyToAsync(stream, context, reading.Token).WaitAsync(reading.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException e) when (reading.IsTimedOut)
        {
            throw reading.ToCallerException(e);
        }
    }

    protected override Task<Stream> CreateContentReadStreamAsync() => _inner.ReadAsStreamAsync();

    protected override Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken) =>
        _inner.ReadAsStreamAsync(cancellationToken);

    protected override Stream CreateContentReadStream(CancellationToken cancellationToken) => _inner.ReadAsStream(cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        length = _inner.Headers.ContentLength ?? 0;
        return _inner.Headers.ContentLength is not null;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }
}

using System.Net;

namespace TestKit;

/// <summary>Content of an application's own kind, of unknown length, that writes itself when it is asked to.</summary>
public sealed class PushContent(Func<Stream, CancellationToken, Task> write) : HttpContent
{
    private int _timesRead;

    public PushContent(byte[] bytes)
        : this((stream, cancellationToken) => stream.WriteAsync(bytes, cancellationToken).AsTask())
    {
    }

    /// <summary>How often it was asked to write itself.</summary>
    public int TimesRead => Volatile.Read(ref _timesRead);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _timesRead);
        return write(stream, cancellationToken);
    }

    protected override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        SerializeToStreamAsync(stream, context, cancellationToken).GetAwaiter().GetResult();

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}

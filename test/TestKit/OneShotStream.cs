namespace TestKit;

/// <summary>A stream that can be read once only, and may fail on the way: a camera, a pipe, another server's response.</summary>
public sealed class OneShotStream(byte[] bytes, int failAt = int.MaxValue) : Stream
{
    public const string FailureMessage = "The camera was unplugged.";

    private int _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (_position >= failAt)
        {
            throw new IOException(FailureMessage);
        }

        var read = Math.Min(Math.Min(count, 10_000), bytes.Length - _position);
        bytes.AsSpan(_position, read).CopyTo(buffer.AsSpan(offset));
        _position += read;
        return read;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

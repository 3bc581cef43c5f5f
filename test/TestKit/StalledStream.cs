namespace TestKit;

/// <summary>A stream that can be read once only, gives some bytes and then nothing, whoever cancels.</summary>
public sealed class StalledStream(byte[] bytes) : Stream
{
    private readonly TaskCompletionSource<int> _never = new();
    private bool _given;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Whether all it has was read, and more was asked for.</summary>
    public bool IsStalled { get; private set; }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_given)
        {
            IsStalled = true;
            return new(_never.Task);
        }

        _given = true;
        bytes.CopyTo(buffer);
        return new(bytes.Length);
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

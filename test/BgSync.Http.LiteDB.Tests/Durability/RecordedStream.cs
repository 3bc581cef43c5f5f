namespace BgSync.Http.LiteDB.Tests.Durability;

/// <summary>A file whose writes and flushes are recorded.</summary>
internal sealed class RecordedStream(Stream file, DiskRecord record, string name) : Stream
{
    public override bool CanRead => file.CanRead;

    public override bool CanSeek => true;

    public override bool CanWrite => file.CanWrite;

    public override long Length => file.Length;

    public override long Position
    {
        get => file.Position;
        set => file.Position = value;
    }

    public override int Read(byte[] buffer, int offset, int count) => file.Read(buffer, offset, count);

    public override void Write(byte[] buffer, int offset, int count)
    {
        record.Written(name, file.Position, buffer[offset..(offset + count)]);
        file.Write(buffer, offset, count);
    }

    public override void SetLength(long value)
    {
        record.Cut(name, value);
        file.SetLength(value);
    }

    // Not passed on: the record is what counts, and the disk is slow.
    public override void Flush() => record.Flushed(name);

    public override long Seek(long offset, SeekOrigin origin) => file.Seek(offset, origin);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            file.Dispose();
        }

        base.Dispose(disposing);
    }
}

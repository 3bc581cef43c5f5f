namespace BgSync.Http.LiteDB.Files;

/// <summary>
/// The log as LiteDB sees it. What LiteDB appends is held back until <see cref="Sync"/>, because LiteDB itself never flushes it, and
/// does not survive a write that fails.
/// </summary>
/// <param name="file">The file, whose <see cref="Stream.Flush()"/> reaches stable storage.</param>
internal sealed class LiteLogStream(Stream file) : Stream
{
    private readonly List<byte[]> _held = [];
    private long _written = file.Length;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => true;

    public override long Length => _written + ((long)_held.Count * LitePage.Size);

    public override long Position { get; set; }

    /// <summary>Writes what is held back, and returns when it is on stable storage.</summary>
    /// <exception cref="IOException">It is not, and LiteDB does not know: it is to be opened anew.</exception>
    /// <remarks>
    /// The page that ends a transaction is marked as confirmed only when all before the mark is on the disk. The mark is one byte of
    /// a page that is written already, so however the disk tears what it writes, a transaction is there whole or not at all.
    /// </remarks>
    public void Sync()
    {
        if (_held.Count == 0)
        {
            return;
        }

        try
        {
            WriteHeld();
            _written = Length;
            _held.Clear();
        }
        catch
        {
            TryCut();
            throw;
        }
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        int read;
        if (Position < _written)
        {
            file.Position = Position;
            read = file.ReadAtLeast(buffer.AsSpan(offset, count), count, throwOnEndOfStream: false);
        }
        else
        {
            var (page, start) = Math.DivRem(Position - _written, LitePage.Size);
            read = page < _held.Count ? Math.Min(count, LitePage.Size - (int)start) : 0;
            if (read > 0)
            {
                _held[(int)page].AsSpan((int)start, read).CopyTo(buffer.AsSpan(offset));
            }
        }

        Position += read;
        return read;
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        if (Position != Length || count != LitePage.Size)
        {
            throw new InvalidOperationException("LiteDB is expected to append whole pages to its log.");
        }

        _held.Add(buffer[offset..(offset + count)]);
        Position += count;
    }

    /// <summary>Cuts the log, once all of it is in the data file.</summary>
    public override void SetLength(long value)
    {
        if (_held.Count > 0)
        {
            throw new InvalidOperationException("The log is to be synced before it is cut.");
        }

        // Flushed at once: nothing of before may stand behind what is written next.
        file.SetLength(value);
        file.Flush();
        _written = value;
    }

    public override void Flush() => Sync();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    private void WriteHeld()
    {
        var confirming = new List<int>();
        file.Position = _written;
        for (var i = 0; i < _held.Count; i++)
        {
            var page = _held[i];
            if (LitePage.IsConfirmed(page))
            {
                confirming.Add(i);
                LitePage.SetConfirmed(page, false);
            }

            file.Write(page, 0, LitePage.Size);
        }

        // One after the other, for each transaction stands on those before it.
        foreach (var i in confirming)
        {
            file.Flush();
            LitePage.SetConfirmed(_held[i], true);
            file.Position = _written + ((long)i * LitePage.Size);
            file.Write(_held[i], 0, LitePage.Size);
        }

        if (confirming.Count > 0)
        {
            file.Flush();
        }
    }

    // The callers are told that it failed, so it is not to be found there later; and it frees space on a full disk.
    private void TryCut()
    {
        try
        {
            file.SetLength(_written);
            file.Flush();
        }
        catch (IOException)
        {
            // The bytes that are there are read when the file is opened again.
        }
    }
}

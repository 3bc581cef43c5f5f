using System.Buffers;

namespace BgSync.Http.Capture;

/// <summary>A copy of a body, to be written once and read often: in memory up to a limit, in a temporary file above it.</summary>
/// <param name="memoryLimit">How much is kept in memory.</param>
/// <param name="maxLength">How much is kept at all.</param>
/// <remarks>Thread-safe. Its views may be read after it was disposed of: memory and file are given back with the last of them.</remarks>
internal sealed class BodySpool(int memoryLimit, long? maxLength) : OneWayStream
{
    private const int Shortest = 1024;

    // The beginning of the copy. The file holds what comes after it.
    private byte[] _memory = [];
    private int _inMemory;
    private long _length;
    private bool _mayUseDisk = true;
    private bool _isDisposed;
    private int _users = 1;

    public override bool CanWrite => true;

    /// <summary>How much was written.</summary>
    public override long Length => _length;

    /// <summary>
    /// Whether the body is lost without this copy: it is kept whatever its length, and in memory where the disk takes no more.
    /// </summary>
    public bool IsOnlyCopy { get; set; }

    /// <summary>The file that holds the copy; <see langword="null"/> while it is in memory.</summary>
    public FileStream? File { get; private set; }

    /// <summary>Forgets what was written.</summary>
    public void Restart() => (_length, _inMemory) = (0, 0);

    /// <exception cref="NotStorableException">It could not be kept.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (this)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!IsOnlyCopy && _length + buffer.Length > maxLength)
            {
                throw new NotStorableException($"its body is larger than MaxBodyLength ({maxLength} bytes)");
            }

            try
            {
                Append(buffer);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                if (!IsOnlyCopy)
                {
                    throw new NotStorableException($"its body could not be kept while it was sent: {e.Message}", e);
                }

                MoveToMemory();
                Append(buffer);
            }
        }
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <summary>The copy, from its beginning, for a reader who disposes of it.</summary>
    /// <exception cref="ObjectDisposedException">The spool was disposed of.</exception>
    public Stream OpenView()
    {
        lock (this)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _users++;
            return new View(this);
        }
    }

    /// <summary>The copy as content, each time from its beginning.</summary>
    public StoredContent ToContent() => new(_ => new(OpenView()), _length);

    protected override void Dispose(bool disposing)
    {
        if (!Interlocked.Exchange(ref _isDisposed, true))
        {
            Release();
        }

        base.Dispose(disposing);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        if (File is null && _mayUseDisk && _length + bytes.Length > memoryLimit)
        {
            File = OpenFile();
        }

        if (File is not null)
        {
            RandomAccess.Write(File.SafeFileHandle, bytes, _length - _inMemory);
        }
        else
        {
            Reserve(bytes.Length);
            bytes.CopyTo(_memory.AsSpan(_inMemory));
            _inMemory += bytes.Length;
        }

        _length += bytes.Length;
    }

    private int Read(long position, Span<byte> buffer)
    {
        lock (this)
        {
            buffer = buffer[..(int)Math.Clamp(_length - position, 0, buffer.Length)];
            if (position < _inMemory)
            {
                buffer = buffer[..(int)Math.Min(buffer.Length, _inMemory - position)];
                _memory.AsSpan((int)position, buffer.Length).CopyTo(buffer);
                return buffer.Length;
            }

            return buffer.IsEmpty ? 0 : RandomAccess.Read(File!.SafeFileHandle, buffer, position - _inMemory);
        }
    }

    /// <summary>Gives memory and file back once neither the spool nor one of its views needs them.</summary>
    private void Release()
    {
        lock (this)
        {
            if (--_users == 0)
            {
                File?.Dispose();
                ArrayPool<byte>.Shared.Return(_memory);
                _memory = [];
            }
        }
    }

    private void Reserve(int more)
    {
        var length = checked(_inMemory + more);
        if (length > _memory.Length)
        {
            var memory = ArrayPool<byte>.Shared.Rent((int)Math.Clamp(2L * _memory.Length, Math.Max(length, Shortest), Array.MaxLength));
            _memory.AsSpan(0, _inMemory).CopyTo(memory);
            ArrayPool<byte>.Shared.Return(_memory);
            _memory = memory;
        }
    }

    private void MoveToMemory()
    {
        _mayUseDisk = false;
        if (File is { } file)
        {
            var inFile = checked((int)(_length - _inMemory));
            Reserve(inFile);
            file.Position = 0;
            file.ReadExactly(_memory, _inMemory, inFile);
            _inMemory += inFile;
            File = null;
            file.Dispose();
        }
    }

    private static FileStream OpenFile()
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.Delete,
            Options = FileOptions.DeleteOnClose,
            BufferSize = 0,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var file = new FileStream(Path.Combine(Path.GetTempPath(), $"bgsync-{Guid.NewGuid():N}.body"), options);
        if (!OperatingSystem.IsWindows())
        {
            // The open handle is enough there, and a killed process leaves nothing behind.
            System.IO.File.Delete(file.Name);
        }

        return file;
    }

    /// <summary>Reads the copy; several views do not disturb each other.</summary>
    private sealed class View(BodySpool spool) : OneWayStream
    {
        private long _position;
        private bool _isClosed;

        public override bool CanSeek => true;

        public override long Length => spool._length;

        public override long Position
        {
            get => _position;
            set => _position = value >= 0 ? value : throw new ArgumentOutOfRangeException(nameof(value));
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            cancellationToken.ThrowIfCancellationRequested();
            var count = spool.Read(_position, buffer.Span);
            _position += count;
            return new(count);
        }

        public override long Seek(long offset, SeekOrigin origin) => Position = offset + origin switch
        {
            SeekOrigin.Current => _position,
            SeekOrigin.End => Length,
            _ => 0,
        };

        protected override void Dispose(bool disposing)
        {
            if (!Interlocked.Exchange(ref _isClosed, true))
            {
                spool.Release();
            }

            base.Dispose(disposing);
        }
    }
}

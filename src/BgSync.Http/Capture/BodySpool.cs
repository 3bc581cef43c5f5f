using System.Buffers;

namespace BgSync.Http.Capture;

/// <summary>
/// A copy of a body: in memory up to a limit, in a temporary file above it. Never throws on a write; a copy that could not be made says
/// why.
/// </summary>
/// <param name="memoryLimit">How much is kept in memory.</param>
/// <param name="maxLength">How much is kept at all.</param>
/// <remarks>Thread-safe. Its views may be read after it was disposed of: memory and file are given back with the last of them.</remarks>
internal sealed class BodySpool(int memoryLimit, long? maxLength) : IDisposable
{
    private const int CopyLength = 64 * 1024;
    private const int Shortest = 1024;

    private byte[] _memory = [];
    private FileStream? _file;
    private bool _mayUseDisk = true;
    private bool _isDisposed;
    private int _views;

    /// <summary>
    /// Whether the body is lost without this copy: it is kept whatever its length, and in memory where the disk takes no more.
    /// </summary>
    public bool IsOnlyCopy { get; set; }

    /// <summary>Why there is no copy; <see langword="null"/> while there is one.</summary>
    public string? Failure { get; private set; }

    /// <summary>How much was written.</summary>
    public long Length { get; private set; }

    /// <summary>The file that holds the copy; <see langword="null"/> while it is in memory.</summary>
    public FileStream? File => _file;

    /// <summary>Forgets what was written.</summary>
    public void Restart() => Length = 0;

    public void Write(ReadOnlySpan<byte> bytes)
    {
        lock (this)
        {
            if (_isDisposed)
            {
                return;
            }

            if (!IsOnlyCopy && Length + bytes.Length > maxLength)
            {
                Fail($"its body is larger than MaxBodyLength ({maxLength} bytes)");
                return;
            }

            try
            {
                Append(bytes);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException && IsOnlyCopy && _mayUseDisk)
            {
                MoveToMemory();
                Append(bytes);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Fail($"its body could not be kept while it was sent: {e.Message}");
            }
        }
    }

    /// <summary>The copy, from its beginning, for a reader who disposes of it.</summary>
    /// <exception cref="ObjectDisposedException">The spool was disposed of.</exception>
    public Stream OpenView()
    {
        lock (this)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _views++;
            return new SpoolView(this, Length);
        }
    }

    /// <summary>Copies all that is left of a stream.</summary>
    /// <exception cref="IOException">It could not be kept.</exception>
    public async Task CopyFromAsync(Stream source, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(CopyLength);
        try
        {
            int count;
            while ((count = await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                Write(buffer.AsSpan(0, count));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (Failure is not null)
        {
            throw new IOException(Failure);
        }
    }

    /// <summary>Reads what a view shows.</summary>
    public int Read(long position, Span<byte> buffer)
    {
        lock (this)
        {
            if (position >= Length)
            {
                return 0;
            }

            buffer = buffer[..(int)Math.Min(buffer.Length, Length - position)];
            if (_file is not null)
            {
                return RandomAccess.Read(_file.SafeFileHandle, buffer, position);
            }

            _memory.AsSpan((int)position, buffer.Length).CopyTo(buffer);
            return buffer.Length;
        }
    }

    /// <summary>Says that a view is no longer read.</summary>
    public void Close()
    {
        lock (this)
        {
            _views--;
            FreeIfUnused();
        }
    }

    public void Dispose()
    {
        lock (this)
        {
            _isDisposed = true;
            FreeIfUnused();
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        if (_file is null && _mayUseDisk && Length + bytes.Length > memoryLimit)
        {
            MoveToFile();
        }

        if (_file is not null)
        {
            RandomAccess.Write(_file.SafeFileHandle, bytes, Length);
        }
        else
        {
            Reserve(checked((int)Length + bytes.Length));
            bytes.CopyTo(_memory.AsSpan((int)Length));
        }

        Length += bytes.Length;
    }

    private void Fail(string reason)
    {
        Failure = reason;
        Dispose();
    }

    private void FreeIfUnused()
    {
        if (_isDisposed && _views == 0)
        {
            _file?.Dispose();
            FreeMemory();
        }
    }

    private void FreeMemory()
    {
        if (_memory.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_memory);
            _memory = [];
        }
    }

    private void Reserve(int length)
    {
        if (length > _memory.Length)
        {
            var memory = ArrayPool<byte>.Shared.Rent((int)Math.Clamp(2L * _memory.Length, Math.Max(length, Shortest), Array.MaxLength));
            _memory.AsSpan(0, (int)Length).CopyTo(memory);
            FreeMemory();
            _memory = memory;
        }
    }

    private void MoveToMemory()
    {
        _mayUseDisk = false;
        if (_file is { } file)
        {
            Reserve(checked((int)Length));
            for (var read = 0; read < Length;)
            {
                var count = RandomAccess.Read(file.SafeFileHandle, _memory.AsSpan(read, (int)Length - read), read);
                read += count > 0 ? count : throw new EndOfStreamException();
            }

            _file = null;
            file.Dispose();
        }
    }

    private void MoveToFile()
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

        var path = Path.Combine(Path.GetTempPath(), $"bgsync-{Guid.NewGuid():N}.body");
        var file = new FileStream(path, options);
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                // The open handle is enough there, and a killed process leaves nothing behind.
                System.IO.File.Delete(path);
            }

            RandomAccess.Write(file.SafeFileHandle, _memory.AsSpan(0, (int)Length), 0);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        _file = file;
        FreeMemory();
    }
}

using System.Buffers;

namespace BgSync.Http.Capture;

/// <summary>
/// A copy of a body that can be read only once: in memory up to a limit, in a temporary file above it. Never throws on a write;
/// a copy that could not be made says why.
/// </summary>
/// <param name="memoryLimit">How much is kept in memory.</param>
/// <param name="maxLength">How much is kept at all.</param>
/// <param name="isOnlyCopy">Whether the body is lost without it: where the disk takes no more of it, memory has to.</param>
internal sealed class BodySpool(int memoryLimit, long? maxLength, bool isOnlyCopy = false) : IDisposable
{
    private const int CopyLength = 64 * 1024;

    private readonly Lock _lock = new();
    private Stream? _stream = new MemoryStream();
    private long _length;
    private bool _mayUseDisk = true;

    /// <summary>Why there is no copy; <see langword="null"/> while there is one.</summary>
    public string? Failure { get; private set; }

    /// <summary>How much was written.</summary>
    public long Length => _length;

    /// <summary>Forgets what was written.</summary>
    public void Restart()
    {
        lock (_lock)
        {
            _length = 0;
            _stream?.SetLength(0);
        }
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_stream is null)
            {
                return;
            }

            try
            {
                if (_length + bytes.Length > maxLength)
                {
                    Fail($"its body is larger than MaxBodyLength ({maxLength} bytes)");
                    return;
                }

                if (_mayUseDisk && _stream is MemoryStream memory && _length + bytes.Length > memoryLimit)
                {
                    _stream = MoveToFile(memory);
                }

                _stream.Write(bytes);
                _length += bytes.Length;
            }
            catch (Exception e) when (isOnlyCopy && _mayUseDisk && e is IOException or UnauthorizedAccessException)
            {
                MoveToMemory();
                Write(bytes);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Fail($"its body could not be kept while it was sent: {e.Message}");
            }
        }
    }

    /// <summary>The copy, from its beginning.</summary>
    public Stream OpenRead()
    {
        var stream = _stream ?? throw new InvalidOperationException(Failure ?? "The spool is closed.");
        stream.Position = 0;
        return stream;
    }

    /// <summary>The copy, from its beginning, for a reader who disposes of what he reads.</summary>
    public Stream OpenView() => new SpoolView(OpenRead(), _length);

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

    public void Dispose()
    {
        lock (_lock)
        {
            _stream?.Dispose();
            _stream = null;
        }
    }

    private void Fail(string reason)
    {
        Failure = reason;
        Dispose();
    }

    private void MoveToMemory()
    {
        _mayUseDisk = false;
        if (_stream is FileStream file)
        {
            var memory = new MemoryStream();
            using (file)
            {
                file.Position = 0;
                new SpoolView(file, _length).CopyTo(memory);
            }

            _stream = memory;
        }
    }

    private FileStream MoveToFile(MemoryStream memory)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.Delete,
            Options = FileOptions.DeleteOnClose,
        };
        if (isOnlyCopy)
        {
            // What was written is in the file then, to be read back should the next write fail.
            options.BufferSize = 0;
        }

        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var path = Path.Combine(Path.GetTempPath(), $"bgsync-{Guid.NewGuid():N}.body");
        var file = new FileStream(path, options);
        if (!OperatingSystem.IsWindows())
        {
            // The open handle is enough there, and a killed process leaves nothing behind.
            File.Delete(path);
        }

        memory.WriteTo(file);
        memory.Dispose();
        return file;
    }
}

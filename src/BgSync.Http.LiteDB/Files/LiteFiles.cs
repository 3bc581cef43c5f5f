using LiteDB;
using LiteDB.Engine;

namespace BgSync.Http.LiteDB.Files;

/// <summary>The data file of a database and its log, decrypted.</summary>
internal sealed class LiteFiles : IDisposable
{
    // The mark, the salt, nothing up to here, and what a password is checked with.
    private const int EndOfSalt = 17;
    private const int StartOfCheck = 32;
    private const int StartOfEncrypted = 64;

    private readonly string _path;
    private readonly string? _password;
    private readonly Func<string, Stream> _open;
    private readonly Stream _data;
    private Stream? _log;
    private LiteLogStream? _logStream;

    /// <param name="path">The data file, which is made where there is none.</param>
    /// <param name="password">The password that it is encrypted with, if it is.</param>
    /// <param name="open">Opens a file for nobody else, such that a flush reaches stable storage.</param>
    public LiteFiles(string path, string? password, Func<string, Stream> open)
    {
        _path = path;
        _password = password;
        _open = open;
        _data = Decrypt(path, open(path), password);
        try
        {
            if (File.Exists(LogPath(path)))
            {
                _log = OpenLog();
            }
        }
        catch
        {
            _data.Dispose();
            throw;
        }
    }

    /// <summary>The data file.</summary>
    public Stream Data => _data;

    /// <summary>The log, as LiteDB is to see it.</summary>
    public LiteLogStream Log => _logStream ??= new LiteLogStream(_log ??= OpenLog());

    /// <summary>The log's path beside the data file, as LiteDB has it.</summary>
    public static string LogPath(string path) => Path.Combine(
        Path.GetDirectoryName(path)!, Path.GetFileNameWithoutExtension(path) + "-log" + Path.GetExtension(path));

    /// <summary>The log as a crash has left it.</summary>
    public LiteLog ReadLog() => LiteLog.Read(_log ?? Stream.Null);

    /// <summary>The first page, in its last committed state; <see langword="null"/> when nothing was ever written.</summary>
    public LiteHeader? ReadHeader(LiteLog log)
    {
        var page = new byte[LitePage.Size];
        if (log.TryReadPage(0, page))
        {
            return new LiteHeader(page);
        }

        if (_data.Length == 0)
        {
            return null;
        }

        _data.Position = 0;
        _data.ReadAtLeast(page, page.Length, throwOnEndOfStream: false);
        return _data.Length <= page.Length && !page.AsSpan().ContainsAnyExcept((byte)0) ? null : new LiteHeader(page);
    }

    /// <summary>Reads a page of the data file.</summary>
    /// <returns>Whether the file has it.</returns>
    public bool TryReadData(uint id, byte[] page)
    {
        var position = (long)id * LitePage.Size;
        if (position + LitePage.Size > _data.Length)
        {
            return false;
        }

        _data.Position = position;
        _data.ReadExactly(page);
        return true;
    }

    /// <summary>Throws away a length that a crash has left without the bytes, so that the file is new.</summary>
    public void Clear() => _data.SetLength(0);

    public void Dispose()
    {
        var isLogEmpty = _log is { CanRead: true, Length: 0 };
        _data.Dispose();
        _log?.Dispose();
        if (isLogEmpty)
        {
            File.Delete(LogPath(_path));
        }
    }

    private Stream OpenLog() => Decrypt(LogPath(_path), _open(LogPath(_path)), _password);

    // LiteDB's own encryption, but below what is held back and not above it, for the marks of a page are to be seen there.
    private static Stream Decrypt(string path, Stream file, string? password)
    {
        try
        {
            var start = new byte[StartOfEncrypted];
            file.Position = 0;
            var length = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
            var isEncrypted = length == start.Length && IsEncrypted(start);
            if (password is null)
            {
                return isEncrypted ? throw LiteFaults.NotAStore(path, "is encrypted, and no password is given") : file;
            }

            // Cut short while it was made, when nothing stood in it yet.
            var isUnwritten = file.Length <= LitePage.Size
                && (length < start.Length ? start[0] <= 1 : !start.AsSpan().ContainsAnyExcept((byte)0));
            if (!isEncrypted && !isUnwritten)
            {
                throw LiteFaults.NotAStore(path, "is not encrypted, and a password is given");
            }

            if (isUnwritten)
            {
                file.SetLength(0);
            }

            return new AesStream(password, file);
        }
        catch (LiteException exception) when (exception.ErrorCode == LiteException.INVALID_PASSWORD)
        {
            throw LiteFaults.NotAStore(path, "has another password than the one given");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    // A log may begin with page 1, whose number looks like the mark; but every page says further on where it is free.
    private static bool IsEncrypted(ReadOnlySpan<byte> start) =>
        start[0] == 1 && !start[EndOfSalt..StartOfCheck].ContainsAnyExcept((byte)0);
}

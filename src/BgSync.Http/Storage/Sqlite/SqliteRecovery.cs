using System.Buffers.Binary;
using System.Globalization;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>Puts a recovered database in the place of a damaged one, which is kept whole.</summary>
internal static class SqliteRecovery
{
    private static readonly string[] _parts = ["", "-wal", "-shm", "-journal"];

    /// <summary>Where what is recovered is gathered.</summary>
    public static string PathOfFresh(string path) => path + ".recovered";

    /// <summary>Whether the file says that it is a database of this library, damaged or not.</summary>
    public static bool HasOurHeader(string path)
    {
        // https://www.sqlite.org/fileformat.html#the_database_header
        Span<byte> header = stackalloc byte[72];
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) == header.Length
            && header.StartsWith("SQLite format 3\0"u8)
            && BinaryPrimitives.ReadInt32BigEndian(header[68..]) == SqliteSchema.ApplicationId;
    }

    /// <summary>Throws away what a recovery that did not come to its end has gathered; the damaged file still has it.</summary>
    public static void DeleteFresh(string path)
    {
        foreach (var part in _parts)
        {
            File.Delete(PathOfFresh(path) + part);
        }
    }

    /// <summary>Moves the damaged file aside and the recovered one into its place.</summary>
    /// <returns>Where the damaged file is.</returns>
    public static string Swap(string path, TimeProvider timeProvider)
    {
        var aside = MoveAside(path, timeProvider);
        File.Move(PathOfFresh(path), path);
        return aside;
    }

    /// <summary>Ends a <see cref="Swap"/> that was cut short after the damaged file had been moved.</summary>
    public static void FinishInterrupted(string path, TimeProvider timeProvider)
    {
        if (!File.Exists(path) && File.Exists(PathOfFresh(path)))
        {
            Swap(path, timeProvider);
        }
    }

    private static string MoveAside(string path, TimeProvider timeProvider)
    {
        var time = timeProvider.GetUtcNow().UtcDateTime;
        string aside;
        do
        {
            aside = $"{path}.corrupt-{time.ToString("yyyyMMdd'T'HHmmssfff", CultureInfo.InvariantCulture)}";
            time = time.AddMilliseconds(1);
        }
        while (_parts.Any(part => File.Exists(aside + part)));

        foreach (var part in _parts)
        {
            if (File.Exists(path + part))
            {
                File.Move(path + part, aside + part);
            }
        }

        return aside;
    }
}

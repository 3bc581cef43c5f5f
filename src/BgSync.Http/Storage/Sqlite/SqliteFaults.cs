using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The meaning of a failure of SQLite or of the file system, and the remedy.</summary>
internal static class SqliteFaults
{
    // The error numbers that Unix and Windows have for a disk without space, and for one mounted read-only.
    private const int Enospc = 28;
    private const int Edquot = 122;
    private const int Erofs = 30;
    private const int DiskFullOnWindows = unchecked((int)0x80070070);

    private const long HardlyAnySpace = 1 << 20;

    public static bool IsCorruption(Exception exception) =>
        exception is SqliteException { SqliteErrorCode: SQLITE_CORRUPT or SQLITE_NOTADB };

    /// <summary>Whether a connection is to be opened anew, because it would go on failing; one to a read-only file is read-only.</summary>
    public static bool SpoilsConnection(Exception exception) =>
        exception is SqliteException
        {
            SqliteErrorCode: not (SQLITE_FULL or SQLITE_BUSY or SQLITE_LOCKED or SQLITE_CONSTRAINT),
        };

    /// <summary>The exception that a caller gets; one that is no fault of the storage stays as it is.</summary>
    public static Exception Describe(Exception exception, string path)
    {
        if (exception is not (SqliteException or IOException or UnauthorizedAccessException))
        {
            return exception;
        }

        var fault = Classify(exception, path);
        return new QueueStoreException(fault, $"{Explain(fault, path)} ({exception.Message.TrimEnd('.')})", exception);
    }

    public static QueueStoreException NotAStore(string path, string what) => new(
        StoreFault.NotAStore,
        $"'{path}' {what}. It was left as it is: name another file in AddBackgroundSyncSqlite(\"path\"), or move this one away.");

    private static StoreFault Classify(Exception exception, string path) => exception switch
    {
        UnauthorizedAccessException => StoreFault.ReadOnly,
        IOException { HResult: Enospc or Edquot or DiskFullOnWindows } => StoreFault.Full,
        IOException { HResult: Erofs } => StoreFault.ReadOnly,
        SqliteException sqlite => sqlite.SqliteErrorCode switch
        {
            SQLITE_FULL => StoreFault.Full,
            SQLITE_IOERR or SQLITE_CANTOPEN when IsDiskFull(path) => StoreFault.Full,
            SQLITE_BUSY or SQLITE_LOCKED => StoreFault.Locked,
            SQLITE_READONLY or SQLITE_CANTOPEN or SQLITE_PERM => StoreFault.ReadOnly,
            SQLITE_CORRUPT or SQLITE_NOTADB => StoreFault.Corrupt,
            _ => StoreFault.Unavailable,
        },
        _ => StoreFault.Unavailable,
    };

    private static string Explain(StoreFault fault, string path) => fault switch
    {
        StoreFault.Full =>
            $"No space is left for '{path}'. Free some on its disk; what is queued already is safe.",
        StoreFault.Locked =>
            $"Another process has been writing to '{path}' for too long. End it, or raise SqliteStoreOptions.BusyTimeout.",
        StoreFault.ReadOnly =>
            $"'{path}' may not be written. Give this account the right to write to the file and its folder, or name another file "
            + "in AddBackgroundSyncSqlite(\"path\").",
        StoreFault.Corrupt =>
            $"'{path}' is damaged. The next call moves it aside whole and recovers what can be read; check the disk.",
        _ => $"'{path}' cannot be used; the inner exception tells why.",
    };

    // SQLite tells some failures for want of space only as an input/output error.
    private static bool IsDiskFull(string path)
    {
        try
        {
            return new DriveInfo(Path.GetDirectoryName(path)!).AvailableFreeSpace < HardlyAnySpace;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return false;
        }
    }
}

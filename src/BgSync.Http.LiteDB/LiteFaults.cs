using LiteDB;

namespace BgSync.Http.LiteDB;

/// <summary>The meaning of a failure of LiteDB or of the file system, and the remedy.</summary>
internal static class LiteFaults
{
    // The error numbers that Unix and Windows have for a disk without space, for one mounted read-only, and for a file in use.
    private const int Enospc = 28;
    private const int Edquot = 122;
    private const int Erofs = 30;
    private const int Eagain = 11;
    private const int EagainOnMac = 35;
    private const int DiskFullOnWindows = unchecked((int)0x80070070);
    private const int SharingViolation = unchecked((int)0x80070020);

    /// <summary>Whether LiteDB has thrown this because of what it found in the file, and not because of what it was asked.</summary>
    public static bool IsOfDamage(Exception exception) => exception switch
    {
        LiteException lite => lite.ErrorCode
            is LiteException.INVALID_DATAFILE_STATE or LiteException.INVALID_DATABASE or LiteException.INVALID_FREE_SPACE_PAGE,
        IOException or UnauthorizedAccessException or OutOfMemoryException or ObjectDisposedException => false,
        ArgumentNullException or OperationCanceledException => false,
        _ => exception.GetType() != typeof(ArgumentException),
    };

    /// <summary>The exception that a caller gets; one that is no fault of the storage stays as it is.</summary>
    public static Exception Describe(Exception exception, string path)
    {
        if (exception is not (LiteDamageException or LiteException or IOException or UnauthorizedAccessException))
        {
            return exception;
        }

        var fault = Classify(exception);
        return new QueueStoreException(fault, $"{Explain(fault, path)} ({exception.Message.TrimEnd('.')})", exception);
    }

    public static QueueStoreException NotAStore(string path, string what) => new(
        StoreFault.NotAStore,
        $"'{path}' {what}. It was left as it is: name another file in AddBackgroundSyncLiteDB(\"path\"), or move this one away.");

    private static StoreFault Classify(Exception exception) => exception switch
    {
        LiteDamageException => StoreFault.Corrupt,
        UnauthorizedAccessException => StoreFault.ReadOnly,
        IOException { HResult: Enospc or Edquot or DiskFullOnWindows } => StoreFault.Full,
        IOException { HResult: Erofs } => StoreFault.ReadOnly,
        IOException { HResult: Eagain or EagainOnMac or SharingViolation } => StoreFault.Locked,
        LiteException { ErrorCode: LiteException.FILE_SIZE_EXCEEDED } => StoreFault.Full,
        _ => StoreFault.Unavailable,
    };

    private static string Explain(StoreFault fault, string path) => fault switch
    {
        StoreFault.Full =>
            $"No space is left for '{path}'. Free some on its disk; what is queued already is safe.",
        StoreFault.Locked =>
            $"'{path}' is open already, in another process or another store of this one. A file of LiteDB is for one at a time: "
            + "end the other, name another file in AddBackgroundSyncLiteDB(\"path\"), or take the SQLite store, which several "
            + "processes can share.",
        StoreFault.ReadOnly =>
            $"'{path}' may not be written. Give this account the right to write to the file and its folder, or name another file "
            + "in AddBackgroundSyncLiteDB(\"path\").",
        StoreFault.Corrupt =>
            $"'{path}' is damaged. The next call moves it aside whole and recovers what can be read; check the disk.",
        _ => $"'{path}' cannot be used; the inner exception tells why.",
    };
}

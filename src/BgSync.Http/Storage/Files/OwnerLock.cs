using System.Security.Cryptography;

namespace BgSync.Http.Storage.Files;

/// <summary>
/// A file beside the database that a store holds locked while it lives. The operating system drops the lock with the process, so
/// that another store can tell a dead owner from one that is slow.
/// </summary>
internal sealed class OwnerLock : IDisposable
{
    // A second or so, once the waits have become sleeps of a millisecond: whoever looks may be kept from going on.
    private const int MostRetries = 1000;

    private const int MostLength = 1 << 16;

    private const int SharingViolation = unchecked((int)0x80070020);
    private const int LockedOnLinux = 11;
    private const int LockedOnMacOS = 35;

    private readonly FileStream _file;

    private OwnerLock(FileStream file) => _file = file;

    public static OwnerLock Take(string databasePath, Guid owner)
    {
        var path = PathOf(databasePath, owner);
        var wait = new SpinWait();
        for (var retries = MostRetries; ; retries--)
        {
            try
            {
                var file = new FileStream(path, PrivateFile.Options(FileMode.OpenOrCreate));

                // Another store may have found the file before it was locked, and removed it as that of a dead owner.
                if (IsStillAt(path, file))
                {
                    return new OwnerLock(file);
                }

                file.Dispose();
            }
            catch (IOException exception) when (retries > 0 && IsInUse(exception))
            {
                // Another store is looking whether the file is locked.
                wait.SpinOnce();
            }
        }
    }

    /// <summary>Whether no process holds the lock of an owner.</summary>
    public static bool IsDead(string databasePath, Guid owner)
    {
        try
        {
            TryLock(PathOf(databasePath, owner))?.Dispose();
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>The owners that have left a file, living or dead.</summary>
    public static IEnumerable<Guid> Find(string databasePath)
    {
        var prefix = Path.GetFileName(databasePath) + ".owner-";
        foreach (var path in Directory.EnumerateFiles(Path.GetDirectoryName(databasePath)!, prefix + "*"))
        {
            if (Guid.TryParseExact(Path.GetFileName(path).AsSpan(prefix.Length), "N", out var owner))
            {
                yield return owner;
            }
        }
    }

    /// <summary>Removes the file of an owner, if it is dead.</summary>
    public static void RemoveDead(string databasePath, Guid owner)
    {
        var path = PathOf(databasePath, owner);
        try
        {
            // While it is locked: an owner that was about to lock it finds that it is gone.
            using var file = TryLock(path, OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None);
            if (file is not null && IsStillAt(path, file))
            {
                TryDelete(path);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It lives, or another store is looking too.
        }
    }

    public void Dispose()
    {
        // Removed while it is locked, so that nobody sees it as that of a dead owner.
        TryDelete(_file.Name);
        _file.Dispose();
        if (OperatingSystem.IsWindows())
        {
            // Windows deletes no open file, so that the file of another owner is safe.
            TryDelete(_file.Name);
        }
    }

    /// <summary>
    /// Whether a locked file is the one that has its name. On Unix it may have been removed before it was locked, and another one made.
    /// </summary>
    /// <remarks>The length of the file is its mark: it can be read by name although the file is locked.</remarks>
    private static bool IsStillAt(string path, FileStream file)
    {
        file.SetLength(RandomNumberGenerator.GetInt32(1, MostLength));
        var found = new FileInfo(path);
        return found.Exists && found.Length == file.Length;
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Windows deletes no open file; and another store that finds the file afterwards can lock it.
        }
    }

    /// <returns><see langword="null"/> when there is no such file.</returns>
    private static FileStream? TryLock(string path, FileOptions options = FileOptions.None)
    {
        try
        {
            return new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.Open,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                Options = options,
            });
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private static bool IsInUse(IOException exception) => exception.HResult is SharingViolation or LockedOnLinux or LockedOnMacOS;

    private static string PathOf(string databasePath, Guid owner) => $"{databasePath}.owner-{owner:N}";
}

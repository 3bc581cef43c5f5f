namespace BgSync.Http.Storage.Files;

/// <summary>
/// A file beside the database that a store holds locked while it lives. The operating system drops the lock with the process, so
/// that another store can tell a dead owner from one that is slow.
/// </summary>
internal sealed class OwnerLock : IDisposable
{
    private readonly FileStream _file;

    private OwnerLock(FileStream file) => _file = file;

    public static OwnerLock Take(string databasePath, Guid owner)
    {
        var path = PathOf(databasePath, owner);
        for (var retries = 10; ; retries--)
        {
            try
            {
                var file = new FileStream(path, PrivateFile.Options(FileMode.OpenOrCreate));

                // Another store may have found the file before it was locked, and removed it as that of a dead owner.
                if (File.Exists(path))
                {
                    return new OwnerLock(file);
                }

                file.Dispose();
            }
            catch (IOException) when (retries > 0 && File.Exists(path))
            {
                // Another store is looking whether the file is locked.
            }
        }
    }

    /// <summary>Whether no process holds the lock of an owner.</summary>
    public static bool IsDead(string databasePath, Guid owner) => !IsHeld(PathOf(databasePath, owner));

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

    /// <summary>Removes the file of an owner that is dead.</summary>
    public static void Remove(string databasePath, Guid owner) => File.Delete(PathOf(databasePath, owner));

    public void Dispose()
    {
        // Removed while it is locked, so that nobody sees it as that of a dead owner.
        TryDelete(_file.Name);
        _file.Dispose();
        TryDelete(_file.Name);
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Windows deletes no open file; and whoever finds the file afterwards can lock it.
        }
    }

    private static bool IsHeld(string path)
    {
        try
        {
            using var file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.Open,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
            });
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    private static string PathOf(string databasePath, Guid owner) => $"{databasePath}.owner-{owner:N}";
}

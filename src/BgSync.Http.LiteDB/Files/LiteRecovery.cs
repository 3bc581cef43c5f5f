using System.Globalization;

namespace BgSync.Http.LiteDB.Files;

/// <summary>Puts a recovered file in the place of a damaged one, which is kept whole.</summary>
internal static class LiteRecovery
{
    /// <summary>Where what is recovered is gathered.</summary>
    public static string PathOfFresh(string path) => path + ".recovered";

    /// <summary>Throws away what a recovery that did not come to its end has gathered; the damaged file still has it.</summary>
    public static void DeleteFresh(string path)
    {
        File.Delete(PathOfFresh(path));
        File.Delete(LiteFiles.LogPath(PathOfFresh(path)));
    }

    /// <summary>Moves the damaged file aside, with its log, and the recovered one into its place.</summary>
    /// <returns>Where the damaged file is.</returns>
    public static string Swap(string path, TimeProvider timeProvider)
    {
        var aside = FindAside(path, timeProvider);
        Move(path, aside);
        Move(LiteFiles.LogPath(path), LiteFiles.LogPath(aside));
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

    private static string FindAside(string path, TimeProvider timeProvider)
    {
        var time = timeProvider.GetUtcNow().UtcDateTime;
        while (true)
        {
            var aside = $"{path}.corrupt-{time.ToString("yyyyMMdd'T'HHmmssfff", CultureInfo.InvariantCulture)}";
            if (!File.Exists(aside) && !File.Exists(LiteFiles.LogPath(aside)))
            {
                return aside;
            }

            time = time.AddMilliseconds(1);
        }
    }

    private static void Move(string from, string to)
    {
        if (File.Exists(from))
        {
            File.Move(from, to);
        }
    }
}

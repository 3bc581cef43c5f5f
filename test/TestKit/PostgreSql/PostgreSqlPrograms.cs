using System.Globalization;

namespace TestKit.PostgreSql;

/// <summary>Where this machine has the programs of a PostgreSQL server.</summary>
internal static class PostgreSqlPrograms
{
    private const string DebianFolder = "/usr/lib/postgresql";

    /// <returns>Their folder, of the latest version; <see langword="null"/> when there are none.</returns>
    public static string? Find() => OperatingSystem.IsWindows() ? null : Folders().FirstOrDefault(static folder =>
        new[] { "postgres", "initdb", "pg_ctl" }.All(program => File.Exists(Path.Combine(folder, program))));

    private static IEnumerable<string> Folders()
    {
        // Debian keeps them out of the PATH, a folder for each version.
        var debian = Directory.Exists(DebianFolder) ? Directory.GetDirectories(DebianFolder) : [];
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        return debian
            .OrderByDescending(static folder =>
                int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version : 0)
            .Select(static folder => Path.Combine(folder, "bin"))
            .Concat(path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries));
    }
}

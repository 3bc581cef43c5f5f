using System.Reflection;

namespace BgSync.Http.Storage.Sqlite;

/// <summary>Where the database file is.</summary>
internal static class SqlitePath
{
    public static string Of(SqliteStoreOptions options) =>
        options.Path is { Length: > 0 } path
            ? Path.GetFullPath(path)
            : InDataFolder(
                Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify),
                Assembly.GetEntryAssembly()?.GetName().Name);

    public static string InDataFolder(string dataFolder, string? application)
    {
        if (dataFolder.Length == 0 || string.IsNullOrEmpty(application))
        {
            throw new QueueStoreException(
                StoreFault.Unavailable,
                "This account has no folder for application data, so there is no default place for the queues. "
                + "Name a file: services.AddBackgroundSyncSqlite(\"path\").");
        }

        return Path.Combine(dataFolder, application, "bgsync", "queues.db");
    }
}

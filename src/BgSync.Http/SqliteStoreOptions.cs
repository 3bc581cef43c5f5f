namespace BgSync.Http;

/// <summary>Where the SQLite store stands and how it behaves.</summary>
public sealed class SqliteStoreOptions
{
    /// <summary>
    /// The path of the database file. Default: <see langword="null"/>, for <c>bgsync/queues.db</c> in the folder of the application's
    /// name inside the user's local application data. Local disks only: SQLite's locks do not hold on network shares.
    /// </summary>
    public string? Path { get; set; }

    /// <summary>How long a call waits for another process that is writing. Default: 5 seconds.</summary>
    public TimeSpan BusyTimeout { get; set; } = TimeSpan.FromSeconds(5);
}

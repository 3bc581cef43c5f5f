namespace BgSync.Http.LiteDB;

/// <summary>Where the LiteDB store stands.</summary>
public sealed class LiteDBStoreOptions
{
    /// <summary>
    /// The path of the database file, made when it is not there, or a LiteDB connection string that names one:
    /// <c>Filename=queues.db;Password=secret</c>. A relative path counts from the current directory. Local disks only. No default.
    /// </summary>
    public string? ConnectionString { get; set; }
}

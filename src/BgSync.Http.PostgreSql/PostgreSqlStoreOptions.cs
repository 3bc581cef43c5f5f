namespace BgSync.Http.PostgreSql;

/// <summary>How the PostgreSQL store behaves.</summary>
public sealed class PostgreSqlStoreOptions
{
    /// <summary>
    /// The schema that the tables are in, which <c>bgsync postgres migrate</c> has made. Default: <c>bgsync</c>. 1 to 63 small letters,
    /// digits and '_', the first no digit.
    /// </summary>
    public string Schema { get; set; } = "bgsync";

    /// <summary>
    /// How long a process that is not heard of is taken for alive. What it has written ahead and not sent is sent by others then. Nothing
    /// else waits for it: a lease ends by itself. Default: 1 minute; 5 seconds to 1 day.
    /// </summary>
    public TimeSpan OwnerTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Whether the store hears nothing of what other processes queue, and tells them nothing: they look at the queue when their
    /// <see cref="BackgroundSyncReplayOptions.Interval"/> is over. For what has no LISTEN: PgBouncer in transaction mode, CockroachDB.
    /// Default: <see langword="false"/>; each process keeps one connection open to listen.
    /// </summary>
    public bool PollOnly { get; set; }
}

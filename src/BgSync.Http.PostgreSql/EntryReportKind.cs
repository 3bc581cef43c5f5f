namespace BgSync.Http.PostgreSql;

/// <summary>The kinds of an <see cref="EntryReport"/>.</summary>
internal enum EntryReportKind
{
    /// <summary>It stands in its queue now.</summary>
    Added = 0,

    /// <summary>It has become a dead letter.</summary>
    Died = 1,

    /// <summary>There is no room for it, and nothing has changed.</summary>
    Refused = 2,

    /// <summary>It is leased.</summary>
    Leased = 3,

    /// <summary>It was delivered and is gone.</summary>
    Completed = 4,
}

namespace BgSync.Http.Storage;

/// <summary>The result of a change to an entry.</summary>
internal enum EntryChange
{
    /// <summary>It was made.</summary>
    Done,

    /// <summary>The queue has no such entry.</summary>
    NotFound,

    /// <summary>The entry is being sent, and was left as it is.</summary>
    InFlight,

    /// <summary>The entry was edited since it was read, and was left as it is.</summary>
    Outdated,
}

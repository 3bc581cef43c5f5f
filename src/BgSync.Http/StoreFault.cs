namespace BgSync.Http;

/// <summary>The kinds of failure of a store.</summary>
public enum StoreFault
{
    /// <summary>Something else; the inner exception tells.</summary>
    Unavailable,

    /// <summary>No space is left.</summary>
    Full,

    /// <summary>Another process holds it for too long.</summary>
    Locked,

    /// <summary>It may not be written.</summary>
    ReadOnly,

    /// <summary>The file or database is no store of this library, or one of a later version.</summary>
    NotAStore,

    /// <summary>It was a store and is damaged.</summary>
    Corrupt,

    /// <summary>The queue holds as much as it may (<see cref="BackgroundSyncOptions.Limits"/>).</summary>
    QueueFull,
}

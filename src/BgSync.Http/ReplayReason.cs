namespace BgSync.Http;

/// <summary>Why a queue is replayed.</summary>
public enum ReplayReason
{
    /// <summary>Entries are due: they are new, or their backoff is over.</summary>
    Due = 0,

    /// <summary>The application has started.</summary>
    Start = 1,

    /// <summary>The network came up, or an address changed.</summary>
    Network = 2,

    /// <summary>A server can be reached again.</summary>
    ServerReachable = 3,
}

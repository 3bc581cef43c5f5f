namespace BgSync.Http;

/// <summary>How urgent a request is among those of its queue. Inside a lane the more urgent go first, equals in the order queued.</summary>
public enum EntryPriority
{
    /// <summary>Behind all others.</summary>
    Low = -1,

    /// <summary>As any request that asks for nothing else.</summary>
    Normal = 0,

    /// <summary>Before all others.</summary>
    High = 1,
}

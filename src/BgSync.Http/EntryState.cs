namespace BgSync.Http;

/// <summary>The state of an entry in its queue.</summary>
public enum EntryState
{
    /// <summary>It waits: for its backoff, its server or another entry of its lane.</summary>
    Waiting,

    /// <summary>It heads its lane and may be sent now.</summary>
    Due,

    /// <summary>It is being sent, or will be within a moment behind another one of its lane.</summary>
    InFlight,
}

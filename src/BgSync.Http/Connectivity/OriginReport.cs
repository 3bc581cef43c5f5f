namespace BgSync.Http.Connectivity;

/// <summary>The part of a settlement that concerns the origin, not the entry: its circuit acts on it.</summary>
internal enum OriginReport
{
    /// <summary>The attempt says nothing of the origin.</summary>
    None,

    /// <summary>The server answered, so that it can be reached.</summary>
    Answered,

    /// <summary>The server took a request.</summary>
    Succeeded,

    /// <summary>The server rejected a request, which it may do to every request for a while.</summary>
    Rejected,

    /// <summary>The server cannot be reached.</summary>
    Unreachable,

    /// <summary>The server took the request, or a part of it, and stayed silent.</summary>
    Silent,

    /// <summary>The network changed while the server was silent: the next request is a probe, over another connection.</summary>
    Interrupted,

    /// <summary>The request waited for a connection and was never begun.</summary>
    Congested,

    /// <summary>The server wants credentials, or sends requests elsewhere.</summary>
    Held,
}

namespace BgSync.Http.Replay;

/// <summary>Why a queue is looked at. Triggers that come together are one.</summary>
[Flags]
internal enum ReplayTriggers
{
    /// <summary>Time has passed.</summary>
    Timer = 0,

    /// <summary>The application has started.</summary>
    Start = 1,

    /// <summary>The network came up, or an address changed.</summary>
    Network = 2,

    /// <summary>A live request, or a probe, has reached an origin.</summary>
    OriginReachable = 4,

    /// <summary>A live request was accepted, so that the credentials are good.</summary>
    LiveSuccess = 8,

    /// <summary>The application asks for it.</summary>
    Manual = 16,

    /// <summary>The queue has changed, or a lane is free.</summary>
    Changed = 32,

    /// <summary>The application's own replay asks for the default one.</summary>
    Sync = 64,

    /// <summary>An entry is new.</summary>
    Added = 128,
}

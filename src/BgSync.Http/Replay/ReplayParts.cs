namespace BgSync.Http.Replay;

/// <summary>The parts that the loop of a queue drives.</summary>
/// <param name="Leases">Leases the entries.</param>
/// <param name="Lanes">Sends them.</param>
/// <param name="Pipeline">The client that they are sent through.</param>
/// <param name="Settler">Writes their settlements, and counts them.</param>
/// <param name="Housekeeper">Tidies the queue.</param>
/// <param name="Sync">The application's own replay.</param>
internal sealed record ReplayParts(
    LaneLeases Leases,
    LaneRunner Lanes,
    ReplayPipeline Pipeline,
    Settler Settler,
    QueueHousekeeper Housekeeper,
    SyncHook Sync);

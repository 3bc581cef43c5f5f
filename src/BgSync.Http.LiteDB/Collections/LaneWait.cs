namespace BgSync.Http.LiteDB.Collections;

/// <summary>Why the head of a lane waits.</summary>
internal enum LaneWait
{
    None,
    Backoff,
    AskedFor,
    Prerequisite,
}

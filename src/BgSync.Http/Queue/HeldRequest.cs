using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>A live request that stands in the store, outside its queue, while it is sent for the first time.</summary>
/// <param name="Id">Its id as a held one.</param>
/// <param name="Entry">What it becomes should the attempt fail.</param>
internal sealed record HeldRequest(long Id, NewEntry Entry);

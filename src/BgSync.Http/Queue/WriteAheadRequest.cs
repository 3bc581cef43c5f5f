using BgSync.Http.Storage;

namespace BgSync.Http.Queue;

/// <summary>A live request that stands in the store, outside its queue, while it is sent for the first time.</summary>
/// <param name="Id">The id under which it is committed or discarded.</param>
/// <param name="Entry">The entry that it becomes should the attempt fail.</param>
internal sealed record WriteAheadRequest(long Id, NewEntry Entry);

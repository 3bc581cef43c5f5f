namespace BgSync.Http.Storage.Memory;

/// <summary>A request that is being sent for the first time, with the position that it took in its queue.</summary>
internal sealed record MemoryWriteAhead(NewEntry Entry, byte[] Body, long Position);

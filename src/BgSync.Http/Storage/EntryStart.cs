namespace BgSync.Http.Storage;

/// <summary>Where an entry stands, and the retry state that it brings along when it becomes the head of its lane.</summary>
internal readonly record struct EntryStart(long Position, int Attempts, string? LastError, long NotBefore, bool AskedByServer);

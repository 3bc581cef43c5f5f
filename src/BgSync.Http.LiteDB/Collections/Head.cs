namespace BgSync.Http.LiteDB.Collections;

/// <summary>An entry as the head of its lane that it is, or would be.</summary>
internal sealed record Head(LiteQueue Queue, string Lane, long EntryId, long Position, int Attempts, string? LastError);

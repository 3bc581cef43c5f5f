using BgSync.Http.Storage;

namespace BgSync.Tool;

/// <summary>What the table shows of an entry.</summary>
internal sealed record EntryRow(
    long Id, string Lane, string Method, Uri Uri, long Size, int Attempts, DateTimeOffset? NextTry, bool IsLeased, string? LastError)
{
    public static EntryRow Of(StoredEntry entry) => new(
        entry.Id,
        entry.Lane,
        entry.Request.Method.Method,
        entry.Request.Uri,
        entry.BodyLength,
        entry.Attempts,
        entry.DueAt,
        entry.IsLeased,
        entry.LastError);
}

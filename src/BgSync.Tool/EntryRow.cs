using BgSync.Http;

namespace BgSync.Tool;

/// <summary>The row of an entry in the table.</summary>
internal sealed record EntryRow(
    long Id,
    string Lane,
    EntryPriority Priority,
    long? Prerequisite,
    string Method,
    Uri Uri,
    long Size,
    int Attempts,
    DateTimeOffset? NextTry,
    bool IsLeased,
    string? LastError)
{
    public static EntryRow Of(QueuedEntry entry) => new(
        entry.Id,
        entry.Lane,
        entry.Priority,
        entry.Prerequisite,
        entry.Request.Method.Method,
        entry.Request.Uri,
        entry.BodyLength,
        entry.Attempts,
        entry.DueAt,
        entry.IsLeased,
        entry.LastError);
}

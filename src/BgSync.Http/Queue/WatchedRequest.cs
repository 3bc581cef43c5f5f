using BgSync.Http.Capture;

namespace BgSync.Http.Queue;

/// <summary>A live request on a watched route, as it was before it was sent.</summary>
/// <param name="Captured">The request, its body apart.</param>
/// <param name="Body">The body, repeatable.</param>
/// <param name="Lane">The lane's name.</param>
/// <param name="Priority">How urgent it is, should it be queued.</param>
/// <param name="Timestamp">When the request was made.</param>
/// <param name="ExpiresAt">When it expires, should it be queued.</param>
/// <param name="NotBefore">Before when it is not sent again, should it be queued.</param>
/// <param name="Prerequisite">The entry that must be delivered before it is sent.</param>
/// <param name="IsRepeatable">Whether it may be sent again although the server may have processed it: it is idempotent or keyed.</param>
/// <param name="Metadata">The caller's notes.</param>
/// <param name="TraceParent">The trace of the live attempt.</param>
/// <param name="CoalesceKey">Whoever has the same may be made one with it; <see langword="null"/> for nobody.</param>
internal readonly record struct WatchedRequest(
    RequestCapture Captured,
    RepeatableBody Body,
    string Lane,
    EntryPriority Priority,
    DateTimeOffset Timestamp,
    DateTimeOffset ExpiresAt,
    DateTimeOffset NotBefore,
    long? Prerequisite,
    bool IsRepeatable,
    IReadOnlyDictionary<string, string>? Metadata,
    string? TraceParent,
    string? CoalesceKey);

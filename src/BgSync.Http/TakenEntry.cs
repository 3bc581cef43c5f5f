using BgSync.Http.Capture;

namespace BgSync.Http;

/// <summary>
/// An entry that was taken out of its queue, by <see cref="IBackgroundSyncQueue.ShiftAsync"/> or
/// <see cref="IBackgroundSyncQueue.PopAsync"/>. The store holds it no more: what you do not put back or send is lost with the process.
/// </summary>
public sealed class TakenEntry : IDisposable
{
    private readonly BodySpool _body;

    internal TakenEntry(QueuedEntry entry, BodySpool body)
    {
        _body = body;
        Entry = entry;
        var content = entry.Request.ContentHeaders is null ? null : body.ToContent();
        Request = RequestRestorer.Restore(entry.Request, content, entry.Metadata);
        Request.SetBackgroundSyncPriority(entry.Priority);
        if (entry.Prerequisite is { } prerequisite)
        {
            Request.SetBackgroundSyncPrerequisite(prerequisite);
        }
    }

    /// <summary>The entry as it stood in the queue: its timestamp, metadata, priority, attempts and the last error.</summary>
    public QueuedEntry Entry { get; }

    /// <summary>
    /// The request, with its notes, its priority, its prerequisite and its body, in memory or in a temporary file; may be read, sent
    /// (synchronously too) or put back. Headers that are not stored, <c>Authorization</c> for example, are missing.
    /// </summary>
    public HttpRequestMessage Request { get; }

    /// <summary>Disposes of the request and its body.</summary>
    public void Dispose()
    {
        Request.Dispose();
        _body.Dispose();
    }
}

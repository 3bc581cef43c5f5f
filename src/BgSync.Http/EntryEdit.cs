namespace BgSync.Http;

/// <summary>An entry that is being edited by <see cref="IBackgroundSyncQueue.EditAsync"/>.</summary>
public sealed class EntryEdit
{
    internal EntryEdit(QueuedEntry entry, HttpRequestMessage request)
    {
        Entry = entry;
        Request = request;
        Lane = entry.Lane;
        Prerequisite = entry.Prerequisite;
    }

    /// <summary>The entry as it stands in the queue.</summary>
    public QueuedEntry Entry { get; }

    /// <summary>
    /// The request, to be changed in place: address, method, headers and content headers. Other <see cref="HttpRequestMessage.Content"/>
    /// is the new body; the one that is there may be kept.
    /// </summary>
    public HttpRequestMessage Request { get; }

    /// <summary>The lane. In another one the entry takes the place of its position.</summary>
    public string Lane
    {
        get;
        set => field = value ?? throw new ArgumentNullException(nameof(value));
    }

    /// <summary>
    /// The entry that must be delivered before this one is sent; <see langword="null"/> for none. It can be one that stands before this
    /// one or was delivered; any other is a <see cref="PrerequisiteException"/> of the edit.
    /// </summary>
    public long? Prerequisite { get; set; }
}

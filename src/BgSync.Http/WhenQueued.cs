namespace BgSync.Http;

/// <summary>What the caller gets when its request could not be sent and was queued.</summary>
public enum WhenQueued
{
    /// <summary>A <see cref="Queues.RequestQueuedException"/>, so that nobody takes it for the server's answer.</summary>
    Throw,

    /// <summary>
    /// A reply <c>202 Accepted</c> with the entry's id in the header <see cref="Queues.QueuedReply.EntryIdHeader"/>.
    /// </summary>
    ReturnAccepted,
}

namespace BgSync.Http;

/// <summary>The caller's result when its request was queued, because it could not be sent or is not to be sent yet.</summary>
public enum WhenQueued
{
    /// <summary>A <see cref="RequestQueuedException"/>, so that nobody takes it for the server's answer.</summary>
    Throw,

    /// <summary>
    /// A response <c>202 Accepted</c> with the entry's id in the header <see cref="BackgroundSyncHeaders.EntryId"/>.
    /// </summary>
    ReturnAccepted,

    /// <summary>
    /// The server's response, when the entry is delivered; the call takes that long, <see cref="BackgroundSyncOptions.WaitTimeout"/> at
    /// most. A response by which the server rejects the request is given as it is. The request bears the entry's id
    /// (<see cref="BackgroundSyncRequestExtensions.TryGetBackgroundSyncEntryId"/>).
    /// </summary>
    /// <remarks>
    /// <para>After the time, and when the application stops, it is a <see cref="RequestQueuedException"/>; after the caller's
    /// cancel an <see cref="OperationCanceledException"/>. The entry stays queued in each case. If it ends otherwise than by a response it
    /// is a <see cref="RequestNotDeliveredException"/>.</para>
    /// <para>Sending must have been started (<see cref="IBackgroundSync.StartAsync"/>, which a generic host does by itself):
    /// without that the call ends with the time. <see cref="IBackgroundSyncQueue.PushAsync"/> does not wait.</para>
    /// <para>If another process has delivered it, which is seen within <see cref="BackgroundSyncReplayOptions.Interval"/>, the response is
    /// made of the receipt: where <see cref="BackgroundSyncReceiptOptions.ResponseBodyLength"/> has cut its body, reading it fails at that
    /// place as if the connection had broken off.</para>
    /// </remarks>
    Wait,
}

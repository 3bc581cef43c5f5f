namespace BgSync.Http;

/// <summary>The record that a queue keeps of entries that have ended (<see cref="BackgroundSyncOptions.Receipts"/>).</summary>
/// <remarks>Bound from the nested configuration section <c>Receipts</c>. Not to be changed once the application runs.</remarks>
public sealed class BackgroundSyncReceiptOptions
{
    /// <summary>
    /// How long <see cref="IBackgroundSyncQueue.GetReceiptAsync"/> knows of an entry that has ended, from its end. Default:
    /// 1 day. <see cref="TimeSpan.Zero"/> keeps no receipts, <see cref="Timeout.InfiniteTimeSpan"/> keeps them for ever.
    /// </summary>
    /// <remarks>
    /// A dead letter is known as long as it is there. With <see cref="WhenQueued.Wait"/> it is twice
    /// <see cref="BackgroundSyncReplayOptions.Interval"/> at least.
    /// </remarks>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(1);

    /// <summary>
    /// How much of the body of an entry's last response is kept in its receipt or dead letter, in bytes, with the response's headers.
    /// Default: 4 KiB. Range: 0 to 1 MiB; 0 keeps the status only.
    /// </summary>
    /// <remarks>
    /// Neither <c>Set-Cookie</c> and the <see cref="BackgroundSyncCaptureOptions.SecretHeaders"/> are kept nor the headers of a connection.
    /// A body that breaks off, or has not come in the time of an attempt, is cut there; what becomes of the entry does not depend on it.
    /// </remarks>
    public int ResponseBodyLength { get; set; } = 4 * 1024;
}

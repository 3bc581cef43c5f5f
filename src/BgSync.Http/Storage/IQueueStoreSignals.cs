namespace BgSync.Http.Storage;

/// <summary>
/// An <see cref="IQueueStore"/> that hears of changes which other processes make, so that a queue is looked at before its
/// timer is over.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal interface IQueueStoreSignals
{
    /// <summary>
    /// Calls <paramref name="queueChanged"/> when another process has changed a queue in a way that may make something due, on any thread,
    /// until the result is disposed of or the store is. Changes may share a call, and a call may be lost: it is a hint to look now, and
    /// no reason not to look by time. Nothing is heard of what this store itself changes.
    /// </summary>
    /// <param name="queueChanged">
    /// Takes the name of the queue; <see langword="null"/> when any may have changed. Should return soon.
    /// </param>
    /// <returns>The subscription; disposing of it twice does no harm.</returns>
    IDisposable Subscribe(Action<string?> queueChanged);
}

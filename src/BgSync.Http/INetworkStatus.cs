namespace BgSync.Http;

/// <summary>
/// The system's word about the network: hints to try now, never a reason to stop trying, because no system can say whether a
/// server is reachable. Replaced in the container by what knows better: MAUI's connectivity, a browser's <c>online</c> event.
/// </summary>
/// <remarks>Thread-safe.</remarks>
public interface INetworkStatus
{
    /// <summary>
    /// Calls <paramref name="onSignal"/> at each signal, on any thread, more than once for one change, until the result is disposed
    /// of. One call may still be under way then. Where the system gives no signals it is never called.
    /// </summary>
    /// <param name="onSignal">Should return soon. What it throws is logged and stops nobody.</param>
    /// <returns>The subscription; disposing of it twice does no harm.</returns>
    IDisposable Subscribe(Action<NetworkSignal> onSignal);
}

using Microsoft.Extensions.Logging;

namespace BgSync.Http.Connectivity;

internal sealed partial class SystemNetworkStatus
{
    private static partial class Log
    {
        [LoggerMessage(5000, LogLevel.Information, "This platform gives no {Signal} signals; queues are replayed on their other triggers.")]
        public static partial void NoSignals(ILogger logger, NetworkSignal signal, Exception failure);

        [LoggerMessage(5002, LogLevel.Error, "A subscriber failed at the {Signal} signal of the network.")]
        public static partial void SubscriberFailed(ILogger logger, NetworkSignal signal, Exception failure);
    }
}

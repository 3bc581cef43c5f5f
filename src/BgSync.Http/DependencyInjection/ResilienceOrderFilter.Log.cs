using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The messages of the filter.</summary>
internal sealed partial class ResilienceOrderFilter
{
    [LoggerMessage(6001, LogLevel.Information,
        "Client '{Client}': the handlers of its queues were moved outside of {Handler}, so that a request is queued once, after the "
        + "last retry, and a time-out of it is queued too")]
    private partial void LogMoved(string client, string handler);
}

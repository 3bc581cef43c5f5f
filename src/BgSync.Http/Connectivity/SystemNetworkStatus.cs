using Microsoft.Extensions.Logging;

namespace BgSync.Http.Connectivity;

/// <summary>
/// The network as <see cref="System.Net.NetworkInformation"/> sees it. Of a platform that gives no signals, or not all, it makes
/// the best: what is missing is logged, and queues live on their other triggers.
/// </summary>
internal sealed partial class SystemNetworkStatus(INetworkEvents events, ILogger logger) : INetworkStatus
{
    /// <inheritdoc/>
    public IDisposable Subscribe(Action<NetworkSignal> onSignal)
    {
        ArgumentNullException.ThrowIfNull(onSignal);

        // The events run their handlers in the context of whoever subscribed: its activity and transaction are none of theirs.
        using (ExecutionContext.SuppressFlow())
        {
            return new Subscription(events, onSignal, logger);
        }
    }

    private sealed class Subscription : IDisposable
    {
        private readonly Action<NetworkSignal> _onSignal;
        private readonly ILogger _logger;
        private readonly Action? _endAvailability;
        private readonly Action? _endAddress;
        private int _ended;

        public Subscription(INetworkEvents events, Action<NetworkSignal> onSignal, ILogger logger)
        {
            _onSignal = onSignal;
            _logger = logger;
            _endAvailability = TryListen(() => events.OnAvailabilityChanged(AvailabilityChanged), NetworkSignal.Available);
            _endAddress = TryListen(
                () => events.OnAddressChanged(() => Raise(NetworkSignal.AddressChanged)), NetworkSignal.AddressChanged);
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _ended, 1) == 0)
            {
                _endAvailability?.Invoke();
                _endAddress?.Invoke();
            }
        }

        private Action? TryListen(Func<Action> listen, NetworkSignal signal)
        {
            try
            {
                return listen();
            }
            catch (Exception failure)
            {
                Log.NoSignals(_logger, signal, failure);
                return null;
            }
        }

        // That the network is gone is no reason for anything: a send will find out.
        private void AvailabilityChanged(bool isAvailable)
        {
            if (isAvailable)
            {
                Raise(NetworkSignal.Available);
            }
        }

        private void Raise(NetworkSignal signal)
        {
            if (Volatile.Read(ref _ended) != 0)
            {
                return;
            }

            try
            {
                _onSignal(signal);
            }
            catch (Exception failure)
            {
                // The events are raised on a thread of the system's, where an exception ends the process.
                Log.SubscriberFailed(_logger, signal, failure);
            }
        }
    }
}

using System.Net.NetworkInformation;

namespace BgSync.Http.Connectivity;

/// <summary>The system's own events, which are static: whoever does not unsubscribe is kept alive for ever.</summary>
internal sealed class SystemNetworkEvents : INetworkEvents
{

    public Action OnAvailabilityChanged(Action<bool> handler)
    {
        NetworkChange.NetworkAvailabilityChanged += Handle;
        return () => NetworkChange.NetworkAvailabilityChanged -= Handle;

        void Handle(object? sender, NetworkAvailabilityEventArgs change) => handler(change.IsAvailable);
    }

    public Action OnAddressChanged(Action handler)
    {
        NetworkChange.NetworkAddressChanged += Handle;
        return () => NetworkChange.NetworkAddressChanged -= Handle;

        void Handle(object? sender, EventArgs change) => handler();
    }
}

using System.Net.NetworkInformation;

namespace BgSync.Http.Connectivity;

/// <summary>
/// <see cref="NetworkChange"/> as an object, for tests. Any member may throw <see cref="PlatformNotSupportedException"/>.
/// </summary>
internal interface INetworkEvents
{

    /// <summary>Subscribes to <see cref="NetworkChange.NetworkAvailabilityChanged"/>.</summary>
    /// <returns>The subscription, which ends when disposed of.</returns>
    Action OnAvailabilityChanged(Action<bool> handler);

    /// <summary>Subscribes to <see cref="NetworkChange.NetworkAddressChanged"/>.</summary>
    /// <returns>The subscription, which ends when disposed of.</returns>
    Action OnAddressChanged(Action handler);
}

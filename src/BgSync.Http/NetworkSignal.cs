namespace BgSync.Http;

/// <summary>Why it may be worth trying now.</summary>
public enum NetworkSignal
{
    /// <summary>The system says that there is a network. It may have said so before, and it may be wrong.</summary>
    Available,

    /// <summary>The addresses of this machine changed: another Wi-Fi, a VPN, a renewed lease.</summary>
    AddressChanged,
}

using System.Diagnostics.CodeAnalysis;

// The part of MAUI that the README's recipe uses, by its names.
namespace Microsoft.Maui.Networking;

public enum NetworkAccess
{
    Unknown,
    None,
    Internet,
}

public interface IConnectivity
{
    event EventHandler<ConnectivityChangedEventArgs>? ConnectivityChanged;

    NetworkAccess NetworkAccess { get; }
}

[SuppressMessage("Design", "CA1812", Justification = "Made by MAUI.")]
public sealed class ConnectivityChangedEventArgs(NetworkAccess access) : EventArgs
{
    public NetworkAccess NetworkAccess => access;
}

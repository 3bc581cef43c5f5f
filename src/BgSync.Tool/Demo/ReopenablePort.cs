using System.Collections.Concurrent;
using System.Net.NetworkInformation;
using System.Security.Cryptography;

namespace BgSync.Tool.Demo;

/// <summary>
/// A port for a server that closes and opens again. Systems take the ports of outgoing connections from a range above, so none of
/// them has it meanwhile; in that range a client that tries again and again would even connect to itself one day.
/// </summary>
internal static class ReopenablePort
{
    private const int First = 20_000;
    private const int End = 30_000;

    // Whose server is closed just now is not among those that listen, and must not be given to another.
    private static readonly ConcurrentDictionary<int, byte> _given = new();

    public static int Pick()
    {
        var taken = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Select(listener => listener.Port).ToHashSet();
        int port;
        do
        {
            port = RandomNumberGenerator.GetInt32(First, End);
        }
        while (taken.Contains(port) || !_given.TryAdd(port, 0));
        return port;
    }
}

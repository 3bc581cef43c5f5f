using System.Net;
using System.Net.Sockets;

namespace BgSync.Http.Benchmarks.Queueing;

/// <summary>A port of this machine that refuses every connection: it is taken, and nobody listens.</summary>
internal static class RefusingPort
{
    private static readonly Socket _taken = Take();

    public static Uri Uri { get; } = new($"http://{_taken.LocalEndPoint}/");

    private static Socket Take()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }
}

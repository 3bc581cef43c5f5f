using System.Net;
using System.Net.Sockets;

namespace BgSync.Http.Benchmarks.Queueing;

/// <summary>A port of this machine that refuses every connection: it is taken, and nobody listens, until it is given up.</summary>
internal sealed class RefusingPort : IDisposable
{
    private readonly Socket _taken = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public RefusingPort()
    {
        _taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Number = ((IPEndPoint)_taken.LocalEndPoint!).Port;
    }

    public int Number { get; }

    public Uri Uri => new($"http://127.0.0.1:{Number}/");

    public void Dispose() => _taken.Dispose();
}

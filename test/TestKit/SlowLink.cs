using System.Net;
using System.Net.Sockets;

namespace TestKit;

/// <summary>A relay to a server on this machine that lets only so many bytes through at a time.</summary>
public sealed class SlowLink : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly int _target;
    private readonly int _bytes;
    private readonly TimeSpan _pause;
    private int _connections;

    public SlowLink(int target, int bytesAtATime, TimeSpan pause)
    {
        (_target, _bytes, _pause) = (target, bytesAtATime, pause);
        // The kernel would take the whole body at once.
        _listener.Server.ReceiveBufferSize = 64 * 1024;
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public int Connections => Volatile.Read(ref _connections);

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                Interlocked.Increment(ref _connections);
                var server = new TcpClient();
                await server.ConnectAsync(IPAddress.Loopback, _target, _stop.Token);
                _ = RelayAsync(client.GetStream(), server.GetStream(), _pause);
                _ = RelayAsync(server.GetStream(), client.GetStream(), TimeSpan.Zero);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The test is over.
        }
    }

    private async Task RelayAsync(NetworkStream from, NetworkStream to, TimeSpan pause)
    {
        var buffer = new byte[_bytes];
        try
        {
            while (await from.ReadAsync(buffer, _stop.Token) is > 0 and var count)
            {
                await to.WriteAsync(buffer.AsMemory(0, count), _stop.Token);
                await Task.Delay(pause, TimeProvider.System, _stop.Token);
            }

            to.Socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            // One side has closed.
        }
    }
}

using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using BgSync.Tool.Demo;

namespace TestKit;

/// <summary>
/// A TCP server on the loopback that does what a <see cref="Script"/> says, down to the RST and the HTTP/2 frame: a decent server
/// cannot be made to fail in all the ways that a client must survive.
/// </summary>
/// <remarks>
/// It listens from the start. A defect in a script (anything but a broken connection) is thrown by <see cref="DisposeAsync"/>.
/// </remarks>
public sealed class RawServer : IAsyncDisposable
{
    // Sockets that are bound and do not listen: connections are refused, and nobody else is given the port.
    private static readonly ConcurrentBag<Socket> _refusing = [];

    private readonly Script _script;
    private readonly ConcurrentQueue<RawRequest> _requests = [];
    private readonly ConcurrentQueue<Exception> _defects = [];
    private readonly ConcurrentDictionary<RawConnection, bool> _open = [];
    private Socket _listener;
    private CancellationTokenSource? _up;
    private Task _accepting = Task.CompletedTask;
    private int _connectionCount;

    /// <summary>Listens on a free port of 127.0.0.1.</summary>
    public RawServer(Script script)
    {
        _script = script;
        _listener = BindFree();
        Port = PortOf(_listener);
        Start();
    }

    /// <summary>The port, the same for the life of the server.</summary>
    public int Port { get; }

    /// <summary>The server's root as <c>http</c>.</summary>
    public Uri Uri => new($"http://127.0.0.1:{Port}/");

    /// <summary>The server's root as <c>https</c>.</summary>
    public Uri SecureUri => new($"https://127.0.0.1:{Port}/");

    /// <summary>Every request of which the head was read, in order: each is here before it is answered.</summary>
    public IReadOnlyList<RawRequest> Requests => [.. _requests];

    /// <summary>How many connections were accepted.</summary>
    public int ConnectionCount => Volatile.Read(ref _connectionCount);

    /// <summary>
    /// Each exchange gets the next script, whichever connection it comes on; the last script serves all that follow.
    /// </summary>
    public static Script Sequence(params Script[] scripts)
    {
        var served = -1;
        return (connection, cancellationToken) =>
            scripts[Math.Min(Interlocked.Increment(ref served), scripts.Length - 1)](connection, cancellationToken);
    }

    /// <summary>A port of 127.0.0.1 that refuses connections for the rest of the run.</summary>
    public static int RefusedPort()
    {
        var socket = Bind(port: 0);
        _refusing.Add(socket);
        return PortOf(socket);
    }

    /// <summary>Listens again, on the same port.</summary>
    public void Start()
    {
        _up = new CancellationTokenSource();
        _listener.Listen();
        _accepting = AcceptAsync(_listener, _up.Token);
    }

    /// <summary>Goes down: closes every connection, and refuses new ones until <see cref="Start"/>.</summary>
    public async Task StopAsync()
    {
        await CloseAsync();
        _listener = await BindAgainAsync(Port);
    }

    /// <summary>Goes down for good.</summary>
    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        if (!_defects.IsEmpty)
        {
            throw new AggregateException("A script of the server is defective.", _defects);
        }
    }

    private static Socket BindFree()
    {
        while (true)
        {
            try
            {
                return Bind(ReopenablePort.Pick());
            }
            catch (SocketException failure) when (failure.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // Another server was faster.
            }
        }
    }

    /// <remarks>
    /// A process that another test is just starting holds a copy of the socket that was closed, until it becomes another program.
    /// </remarks>
    private static async Task<Socket> BindAgainAsync(int port)
    {
        Socket? socket = null;
        await Eventually.TrueAsync(
            () =>
            {
                try
                {
                    socket = Bind(port);
                    return true;
                }
                catch (SocketException failure) when (failure.SocketErrorCode == SocketError.AddressAlreadyInUse)
                {
                    return false;
                }
            },
            $"port {port} can be had again");
        return socket!;
    }

    private static Socket Bind(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static int PortOf(Socket socket) => ((IPEndPoint)socket.LocalEndPoint!).Port;

    private async Task CloseAsync()
    {
        if (_up is not null)
        {
            await _up.CancelAsync();
        }

        _listener.Dispose();
        foreach (var connection in _open.Keys)
        {
            connection.Close();
        }

        await _accepting;
        _up?.Dispose();
        _up = null;
    }

    private async Task AcceptAsync(Socket listener, CancellationToken cancellationToken)
    {
        var serving = new List<Task>();
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                var connection = new RawConnection(await listener.AcceptAsync(cancellationToken), _requests.Enqueue);
                Interlocked.Increment(ref _connectionCount);
                serving.Add(ServeAsync(connection, cancellationToken));
            }
            catch (Exception failure) when (IsBrokenConnection(failure))
            {
                // Going down, or a client that was gone before it was accepted.
            }
        }

        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(RawConnection connection, CancellationToken cancellationToken)
    {
        _open.TryAdd(connection, true);
        try
        {
            do
            {
                await _script(connection, cancellationToken);
            }
            while (connection.IsOpen && await connection.WaitForDataAsync(cancellationToken));
        }
        catch (Exception failure) when (IsBrokenConnection(failure))
        {
            // The client went away, or the server goes down: both are part of the play.
        }
        catch (Exception defect)
        {
            _defects.Enqueue(defect);
        }
        finally
        {
            _open.TryRemove(connection, out _);
            connection.Dispose();
        }
    }

    private static bool IsBrokenConnection(Exception failure) =>
        failure is IOException or SocketException or ObjectDisposedException or OperationCanceledException
            or AuthenticationException or ProtocolViolationException;
}

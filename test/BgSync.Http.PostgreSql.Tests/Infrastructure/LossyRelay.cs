using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;

namespace BgSync.Http.PostgreSql.Tests.Infrastructure;

/// <summary>
/// Stands between a store and the server, and cuts a connection when the server has done what it was told to, before the store hears of it.
/// </summary>
internal sealed class LossyRelay : IAsyncDisposable
{
    // The end of every reply when no transaction is open: the statements are committed.
    private static readonly byte[] _readyForQuery = [(byte)'Z', 0, 0, 0, 5, (byte)'I'];

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly NpgsqlConnectionStringBuilder _server;
    private readonly Task _accepting;
    private volatile byte[]? _text;
    private int _lost;

    public LossyRelay(string connectionString)
    {
        _server = new NpgsqlConnectionStringBuilder(connectionString);
        _listener.Start();
        DataSource = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connectionString)
        {
            Host = "127.0.0.1",
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port,
            // A reset would be answered by itself, before the call that goes with it.
            NoResetOnClose = true,
        });
        _accepting = AcceptAsync();
    }

    /// <summary>The server, through the relay.</summary>
    public NpgsqlDataSource DataSource { get; }

    /// <summary>How many replies were lost.</summary>
    public int Lost => Volatile.Read(ref _lost);

    /// <summary>Loses the reply to the next thing sent that has a text in it.</summary>
    public void LoseReplyTo(string text) => _text = Encoding.UTF8.GetBytes(text);

    public async ValueTask DisposeAsync()
    {
        await DataSource.DisposeAsync();
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var relayed = new List<Task>();
        try
        {
            while (true)
            {
                relayed.Add(RelayAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(relayed);
        }
    }

    private async Task RelayAsync(TcpClient client)
    {
        using var server = new TcpClient();
        using (client)
        {
            try
            {
                await server.ConnectAsync(_server.Host!, _server.Port, _stop.Token);
                var (near, far) = (client.GetStream(), server.GetStream());
                var isDoomed = false;
                var requests = PumpAsync(near, far, sent => isDoomed |= IsAwaited(sent), () => true);
                var replies = PumpAsync(far, near, _ => { }, () => !isDoomed);
                await Task.WhenAny(requests, replies);
                client.Close();
                server.Close();
                await Task.WhenAll(requests, replies);
            }
            catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException
                or ObjectDisposedException)
            {
                // One end has gone.
            }
        }
    }

    private async Task PumpAsync(NetworkStream from, NetworkStream to, Action<ReadOnlyMemory<byte>> look, Func<bool> isPassedOn)
    {
        var buffer = new byte[1 << 16];
        while (await from.ReadAsync(buffer, _stop.Token) is > 0 and var count)
        {
            look(buffer.AsMemory(0, count));
            if (isPassedOn())
            {
                await to.WriteAsync(buffer.AsMemory(0, count), _stop.Token);
            }
            else if (buffer.AsSpan(0, count).EndsWith(_readyForQuery))
            {
                Interlocked.Increment(ref _lost);
                return;
            }
        }
    }

    private bool IsAwaited(ReadOnlyMemory<byte> sent)
    {
        var text = _text;
        return text is not null && sent.Span.IndexOf(text) >= 0 && Interlocked.CompareExchange(ref _text, null, text) == text;
    }
}

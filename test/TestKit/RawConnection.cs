using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace TestKit;

/// <summary>A connection that a <see cref="RawServer"/> accepted: what a script reads from, writes to and breaks.</summary>
public sealed class RawConnection : IDisposable
{
    private readonly Socket _socket;
    private readonly Action<RawRequest> _record;
    private Stream _stream;
    private WireReader _reader;
    private Http2Connection? _http2;

    internal RawConnection(Socket socket, Action<RawRequest> record)
    {
        _socket = socket;
        _socket.NoDelay = true;
        _record = record;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new WireReader(_stream);
    }

    /// <summary>Whether the script has left the connection open.</summary>
    public bool IsOpen { get; private set; } = true;

    /// <summary>Reads one whole HTTP/1.1 request, and tells a client that asks to go on (<c>Expect: 100-continue</c>).</summary>
    public Task<RawRequest> ReadRequestAsync(CancellationToken cancellationToken) =>
        ReadRequestAsync(long.MaxValue, cancellationToken);

    /// <summary>
    /// Reads the head of an HTTP/1.1 request and no more than <paramref name="bodyLimit"/> bytes of its body. With a limit of 0 a
    /// client that expects <c>100-continue</c> is not told to go on.
    /// </summary>
    public async Task<RawRequest> ReadRequestAsync(long bodyLimit, CancellationToken cancellationToken)
    {
        if ((await _reader.ReadLineAsync(cancellationToken)).Split(' ') is not [var method, var target, _])
        {
            throw new ProtocolViolationException("The client does not speak HTTP/1.1.");
        }

        var head = new RawRequest(method, target, await ReadHeadersAsync(cancellationToken), default, Complete: false);

        using var body = new MemoryStream();
        var complete = false;
        try
        {
            if (bodyLimit > 0 && head.ValuesOf("Expect").Contains("100-continue"))
            {
                await WriteAsync("HTTP/1.1 100 Continue\r\n\r\n", cancellationToken);
            }

            complete = await Http1Body.CopyAsync(
                _reader,
                head.ValuesOf("Content-Length").SingleOrDefault(),
                head.ValuesOf("Transfer-Encoding").Contains("chunked"),
                body,
                bodyLimit,
                cancellationToken);
        }
        finally
        {
            head = head with { Body = body.ToArray(), Complete = complete };
            _record(head);
        }

        return head;
    }

    /// <summary>Writes an HTTP/1.1 response, and leaves the connection open for the next request.</summary>
    public Task RespondAsync(
        int status, string body, IEnumerable<(string Name, string Value)> headers, CancellationToken cancellationToken)
    {
        var response = new StringBuilder().Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} Scripted\r\n");
        foreach (var (name, value) in headers)
        {
            response.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        }

        response.Append(CultureInfo.InvariantCulture, $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");
        return WriteAsync(response.ToString(), cancellationToken);
    }

    /// <summary>Writes text as it is.</summary>
    public Task WriteAsync(string text, CancellationToken cancellationToken) =>
        _stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken).AsTask();

    /// <summary>Waits until the client has sent something, without reading it.</summary>
    /// <returns><see langword="false"/> when the client has closed the connection.</returns>
    public Task<bool> WaitForDataAsync(CancellationToken cancellationToken) => _reader.WaitForDataAsync(cancellationToken);

    /// <summary>Shakes hands as a TLS server with a self-signed certificate; does nothing the second time.</summary>
    public async Task StartTlsAsync(CancellationToken cancellationToken)
    {
        if (_stream is SslStream)
        {
            return;
        }

        var tls = new SslStream(_stream);
        _stream = tls;
        _reader = new WireReader(tls);
        await tls.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificate = SelfSigned.Certificate }, cancellationToken);
    }

    /// <summary>Begins HTTP/2 with prior knowledge: reads the client's preface and sends the settings; only the first time.</summary>
    public async Task<Http2Connection> StartHttp2Async(CancellationToken cancellationToken) =>
        _http2 ??= await Http2Connection.StartAsync(_stream, _reader, _record, cancellationToken);

    /// <summary>Ends the connection with a FIN; with a RST when the client has sent more than was read.</summary>
    public void Close()
    {
        IsOpen = false;
        _stream.Dispose();
    }

    /// <summary>Ends the connection with a RST.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        IsOpen = false;

        // Not the stream: it would shut the socket down first, and that sends a FIN.
        _socket.Dispose();
    }

    /// <inheritdoc cref="Close"/>
    public void Dispose() => Close();

    private async Task<List<KeyValuePair<string, string>>> ReadHeadersAsync(CancellationToken cancellationToken)
    {
        var headers = new List<KeyValuePair<string, string>>();
        while (await _reader.ReadLineAsync(cancellationToken) is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            headers.Add(new(line[..colon], line[(colon + 1)..].Trim()));
        }

        return headers;
    }
}

using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace BgSync.Tool.Demo;

/// <summary>
/// Kestrel on loopback. It writes down what arrives, body by hash, and can be stopped and started on the same port.
/// </summary>
internal sealed class DemoServer : IAsyncDisposable
{
    private const int ReadSize = 64 * 1024;

    private readonly ConcurrentQueue<Arrival> _arrivals = new();
    private WebApplication? _running;
    private long _bytesReceived;

    /// <summary>Where it listens.</summary>
    public Uri Address { get; } = new($"http://127.0.0.1:{ReopenablePort.Pick()}");

    /// <summary>The requests that arrived, in this order.</summary>
    public IReadOnlyCollection<Arrival> Arrivals => _arrivals;

    /// <summary>How much of bodies was read so far.</summary>
    public long BytesReceived => Interlocked.Read(ref _bytesReceived);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, Address.Port);
        });

        _running = builder.Build();
        _running.Run(ReceiveAsync);
        await _running.StartAsync(cancellationToken);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_running is { } server)
        {
            _running = null;
            await server.StopAsync(cancellationToken);
            await server.DisposeAsync();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await StopAsync(new CancellationToken(canceled: true));

    private async Task ReceiveAsync(HttpContext context)
    {
        var hash = await HashAsync(context.Request.Body, context.RequestAborted);
        _arrivals.Enqueue(new Arrival(context.Request.Path, context.Request.Headers["Idempotency-Key"].ToString(), hash));
        context.Response.StatusCode = StatusCodes.Status201Created;
    }

    private async Task<string> HashAsync(Stream body, CancellationToken cancellationToken)
    {
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(ReadSize);
        try
        {
            int read;
            while ((read = await body.ReadAsync(buffer, cancellationToken)) > 0)
            {
                sha256.AppendData(buffer.AsSpan(0, read));
                Interlocked.Add(ref _bytesReceived, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return Convert.ToHexString(sha256.GetHashAndReset());
    }
}

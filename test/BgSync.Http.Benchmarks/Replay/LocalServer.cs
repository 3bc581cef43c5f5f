using System.Buffers;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace BgSync.Http.Benchmarks.Replay;

/// <summary>Kestrel on loopback: reads each body to its end, counts, takes its time, and answers 200.</summary>
internal sealed class LocalServer : IAsyncDisposable
{
    private const int BufferLength = 64 * 1024;

    private readonly WebApplication _application;
    private readonly TimeSpan _takes;
    private long _requests;
    private long _bytes;

    private LocalServer(WebApplication application, TimeSpan takes)
    {
        _application = application;
        _takes = takes;
    }

    public Uri Address => new(_application.Urls.Single());

    public long Requests => Interlocked.Read(ref _requests);

    public long Bytes => Interlocked.Read(ref _bytes);

    public static async Task<LocalServer> StartAsync(int port = 0, TimeSpan takes = default)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, port);
        });
        var server = new LocalServer(builder.Build(), takes);
        server._application.Run(server.ReceiveAsync);
        await server._application.StartAsync();
        return server;
    }

    public async ValueTask DisposeAsync() => await _application.DisposeAsync();

    private async Task ReceiveAsync(HttpContext context)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferLength);
        try
        {
            int read;
            while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
            {
                Interlocked.Add(ref _bytes, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (_takes > TimeSpan.Zero)
        {
            await Task.Delay(_takes, context.RequestAborted);
        }

        Interlocked.Increment(ref _requests);
    }
}

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace BgSync.Http.TestApp;

/// <summary>Kestrel, writing down what arrives. It can be closed, so that connections are refused, and opened at the same port.</summary>
public sealed class CountingServer(IPEndPoint endPoint) : IAsyncDisposable
{
    private static readonly TimeSpan _grace = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(10);

    private readonly ConcurrentQueue<Arrival> _arrivals = new();
    private WebApplication? _open;

    /// <summary>Told of each arrival before it is answered.</summary>
    public Action<Arrival>? Arrived { get; init; }

    /// <summary>The wait before an answer, which keeps its request in flight. Default: none.</summary>
    public Func<Arrival, Task>? Answering { get; init; }

    /// <summary>Everything that arrived, in this order.</summary>
    public IReadOnlyCollection<Arrival> Arrivals => _arrivals;

    /// <summary>Where it listens.</summary>
    public Uri Address { get; } = new($"http://{endPoint}/");

    public async Task OpenAsync()
    {
        var started = Stopwatch.GetTimestamp();
        while (_open is null)
        {
            var server = Build();
            try
            {
                await server.StartAsync();
                _open = server;
            }
            // A process that is just being started holds a copy of every socket until it becomes another program.
            catch (IOException failure)
                when (failure.InnerException is AddressInUseException && Stopwatch.GetElapsedTime(started) < _grace)
            {
                await server.DisposeAsync();
                await Task.Delay(_pause);
            }
        }
    }

    /// <summary>Refuses from now on; what is being read is read to its end and answered.</summary>
    public async Task CloseAsync()
    {
        if (_open is { } server)
        {
            _open = null;
            using var grace = new CancellationTokenSource(_grace);
            await server.StopAsync(grace.Token);
            await server.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync() => await CloseAsync();

    private WebApplication Build()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(endPoint));
        var server = builder.Build();
        server.Run(ReceiveAsync);
        return server;
    }

    private async Task ReceiveAsync(HttpContext context)
    {
        var item = Item.Parse(context.Request.Path);
        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        var arrival = new Arrival(
            item,
            context.Request.Headers["Idempotency-Key"].ToString(),
            context.Request.Headers[SenderHandler.Header].ToString(),
            body == item.Body);
        _arrivals.Enqueue(arrival);
        Arrived?.Invoke(arrival);
        await (Answering?.Invoke(arrival) ?? Task.CompletedTask);
    }
}

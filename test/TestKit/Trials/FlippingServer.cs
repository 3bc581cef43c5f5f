using System.Net;
using BgSync.Http.TestApp;

namespace TestKit.Trials;

/// <summary>A counting server that refuses and accepts in turn, so that requests are queued and replayed all the time.</summary>
internal sealed class FlippingServer : IAsyncDisposable
{
    private readonly CountingServer _server = new(new IPEndPoint(IPAddress.Loopback, BgSync.Tool.Demo.ReopenablePort.Pick()));
    private readonly CancellationTokenSource _enough = new();
    private readonly Random _random;
    private Task _flipping = Task.CompletedTask;

    private FlippingServer(int seed) => _random = new Random(seed);

    public string Address => _server.Address.AbsoluteUri;

    public IReadOnlyCollection<Arrival> Arrivals => _server.Arrivals;

    public static async Task<FlippingServer> StartAsync(int seed)
    {
        var server = new FlippingServer(seed);
        await server._server.OpenAsync();
        server._flipping = Task.Run(server.FlipAsync);
        return server;
    }

    /// <summary>Accepts from now on.</summary>
    public async Task StayOpenAsync()
    {
        await _enough.CancelAsync();
        await _flipping;
        await _server.OpenAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _enough.CancelAsync();
        await _flipping;
        await _server.DisposeAsync();
        _enough.Dispose();
    }

    private async Task FlipAsync()
    {
        while (!_enough.IsCancellationRequested)
        {
            await PauseAsync();
            await _server.CloseAsync();
            await PauseAsync();
            await _server.OpenAsync();
        }
    }

    private Task PauseAsync() => Task.Delay(_random.Next(20, 200), CancellationToken.None);
}

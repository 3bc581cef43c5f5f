using System.Net;
using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>A request on a matching route that is answered, through a whole client, against a client with an empty handler.</summary>
public class MatchedRequest
{
    private static readonly Uri _uri = new("https://api.example.com/orders/17/items");

    private readonly PendingServer _server = new();
    private ServiceProvider _services = null!;
    private HttpClient _empty = null!;
    private HttpClient _queue = null!;

    [Params(1, 100)]
    public int Routes { get; set; }

    [ParamsAllValues]
    public BodyKind Body { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _empty = Pipelines.ClientOf(Pipelines.WithEmptyHandler(_server));
        _services = Pipelines.WithQueue(_server, Routes, isMatched: true);
        _queue = Pipelines.ClientOf(_services);
    }

    [GlobalCleanup]
    public void CleanUp() => _services.Dispose();

    [Benchmark(Baseline = true)]
    public HttpStatusCode Empty() => Send(_empty);

    [Benchmark]
    public HttpStatusCode Queue() => Send(_queue);

    private HttpStatusCode Send(HttpClient client)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _uri) { Content = Bodies.Create(Body) };
        var sending = client.SendAsync(request);
        _server.Answer();
        using var response = sending.GetAwaiter().GetResult();
        return response.StatusCode;
    }
}

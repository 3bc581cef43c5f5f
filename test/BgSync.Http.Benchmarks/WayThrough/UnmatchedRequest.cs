using BenchmarkDotNet.Attributes;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>A request that no route matches, against an empty handler. It is the same one each time, and so is its response.</summary>
public class UnmatchedRequest
{
    private HttpRequestMessage _request = null!;
    private HttpMessageInvoker _empty = null!;
    private HttpMessageInvoker _queue = null!;

    [Params(1, 100)]
    public int Routes { get; set; }

    /// <summary>A method that no route is for, or one whose routes have another path.</summary>
    [Params("GET", "POST")]
    public string Method { get; set; } = "GET";

    [GlobalSetup]
    public void SetUp()
    {
        _request = new HttpRequestMessage(HttpMethod.Parse(Method), "https://api.example.com/orders/17/items");
        _empty = Pipelines.InvokerOf<EmptyHandler>(Pipelines.WithEmptyHandler(new SameResponseServer()));
        _queue = Pipelines.InvokerOf<BackgroundSyncHandler>(Pipelines.WithQueue(new SameResponseServer(), Routes, isMatched: false));
    }

    [Benchmark(Baseline = true)]
    public Task<HttpResponseMessage> Empty() => _empty.SendAsync(_request, CancellationToken.None);

    [Benchmark]
    public Task<HttpResponseMessage> Queue() => _queue.SendAsync(_request, CancellationToken.None);
}

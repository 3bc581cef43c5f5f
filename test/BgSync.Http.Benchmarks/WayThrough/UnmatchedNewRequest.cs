using BenchmarkDotNet.Attributes;

namespace BgSync.Http.Benchmarks.WayThrough;

/// <summary>
/// A new request each time, whose URI is new as well. The server asks it for its path and query, as the one of sockets does.
/// </summary>
public class UnmatchedNewRequest
{
    private HttpMessageInvoker _empty = null!;
    private HttpMessageInvoker _queue = null!;

    [Params("GET", "POST")]
    public string Method { get; set; } = "GET";

    [GlobalSetup]
    public void SetUp()
    {
        _empty = Pipelines.InvokerOf<EmptyHandler>(Pipelines.WithEmptyHandler(new SameResponseServer()));
        _queue = Pipelines.InvokerOf<BackgroundSyncHandler>(Pipelines.WithQueue(new SameResponseServer(), 1, isMatched: false));
    }

    [Benchmark(Baseline = true)]
    public int Empty() => Send(_empty);

    [Benchmark]
    public int Queue() => Send(_queue);

    private int Send(HttpMessageInvoker invoker)
    {
        using var request = new HttpRequestMessage(HttpMethod.Parse(Method), "https://api.example.com/orders/17/items");
        _ = invoker.SendAsync(request, CancellationToken.None);
        return request.RequestUri!.PathAndQuery.Length;
    }
}

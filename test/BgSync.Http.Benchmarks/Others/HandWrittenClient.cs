using BgSync.Http.Benchmarks.Queues;
using Polly;
using Polly.Retry;

namespace BgSync.Http.Benchmarks.Others;

/// <summary>
/// The queue that applications write for themselves: a retry around the request, a table for those that failed all the same, and a loop that
/// sends what is in the table, one after another.
/// </summary>
internal sealed class HandWrittenClient(string folder, Uri server) : IDisposable
{
    private readonly HandWrittenQueue _queue = new(folder);
    private readonly HttpClient _client = new() { BaseAddress = server };

    // Without a pause between attempts, so that no wait is measured.
    private readonly ResiliencePipeline _retry = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<HttpRequestException>(),
            MaxRetryAttempts = 2,
            Delay = TimeSpan.Zero,
        })
        .Build();

    public async ValueTask PostAsync(string path, byte[] body)
    {
        try
        {
            await SendAsync(path, body);
        }
        catch (HttpRequestException)
        {
            await _queue.AddAsync("POST", path, "{}", body);
        }
    }

    /// <summary>Sends what is in the table.</summary>
    public async Task DrainAsync()
    {
        while (await _queue.PeekAsync() is var (id, path, body))
        {
            await SendAsync(path, body);
            await _queue.RemoveAsync(id);
        }
    }

    public void Dispose()
    {
        _client.Dispose();
        _queue.Dispose();
    }

    private async Task SendAsync(string path, byte[] body) => await _retry.ExecuteAsync(async cancellationToken =>
    {
        using var content = new ByteArrayContent(body);
        using var response = await _client.PostAsync(new Uri(path, UriKind.Relative), content, cancellationToken);
        response.EnsureSuccessStatusCode();
    });
}

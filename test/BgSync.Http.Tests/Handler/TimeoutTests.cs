using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>
/// Time-outs and cancellation: a handler sees both as the same cancelled token, and yet a time-out is queued and a
/// cancel never is.
/// </summary>
public sealed class TimeoutTests : IAsyncDisposable
{
    private static readonly TimeSpan _timeout = TimeSpan.FromSeconds(10);

    private readonly TestClock _clock = new();
    private readonly RawServer _server = new(Scripts.NeverAnswer());

    public static TheoryData<string, Action<IHttpClientBuilder>?, Action<IHttpClientBuilder>?, Action<IServiceCollection>?> Places => new()
    {
        { "on the client", SetTimeout, null, null },
        { "on the client, after the queue was added", null, SetTimeout, null },
        { "on the defaults of all clients", null, null, services => services.ConfigureHttpClientDefaults(SetTimeout) },
    };

    public static TheoryData<string, Action<HttpClient, CancellationTokenSource>> Cancels => new()
    {
        { "the caller's token", (_, caller) => caller.Cancel() },
        { "CancelPendingRequests", (client, _) => client.CancelPendingRequests() },
        { "Dispose", (client, _) => client.Dispose() },
    };

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [MemberData(nameof(Places), DisableDiscoveryEnumeration = true)]
    public async Task A_time_out_is_queued_wherever_it_was_configured(
        string place, Action<IHttpClientBuilder>? client, Action<IHttpClientBuilder>? inner, Action<IServiceCollection>? services)
    {
        await using var app = new TestApplication(client: client, inner: inner, services: services, clock: _clock);

        var queued = Assert.IsType<RequestQueuedException>(await TimeOutAsync(app.Client.SendAsync(Request()), _timeout));

        Assert.IsType<TimeoutException>(Assert.IsType<TaskCanceledException>(queued.InnerException).InnerException);
        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal((queued.EntryId, 1), (entry.Id, entry.Attempts));
        Assert.Single(_server.Requests);
        Assert.NotEmpty(place);
    }

    [Fact]
    public async Task A_typed_client_has_its_time_out_taken_over_too()
    {
        await using var app = new TestApplication(client: builder => SetTimeout(builder.AddTypedClient<OrderClient>()), clock: _clock);
        var typed = app.Services.GetRequiredService<OrderClient>();

        Assert.IsType<RequestQueuedException>(await TimeOutAsync(typed.Client.SendAsync(Request()), _timeout));

        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_time_out_of_the_synchronous_Send_is_queued()
    {
        await using var app = new TestApplication(client: SetTimeout, clock: _clock);

        Assert.IsType<RequestQueuedException>(await TimeOutAsync(app.Client.SendAsync(Request(), isAsync: false), _timeout));

        Assert.Equal(1, Assert.Single(await app.EntriesAsync()).Attempts);
        Assert.Single(_server.Requests);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(20)]
    public async Task The_queues_own_AttemptTimeout_wins(int seconds)
    {
        var own = TimeSpan.FromSeconds(seconds);
        await using var app = new TestApplication(sync => sync.AttemptTimeout = own, client: SetTimeout, clock: _clock);

        Assert.IsType<RequestQueuedException>(await TimeOutAsync(app.Client.SendAsync(Request()), own));

        Assert.Single(await app.EntriesAsync());
    }

    [Theory]
    [InlineData("POST", false)]
    [InlineData("PUT", true)]
    public async Task Without_keys_a_time_out_is_queued_only_when_the_request_is_idempotent(string method, bool isQueued)
    {
        await using var app = new TestApplication(sync => sync.IdempotencyKeyHeader = null, client: SetTimeout, clock: _clock);

        var failure = await TimeOutAsync(app.Client.SendAsync(Request(method)), _timeout);

        // HttpClient would have given the caller the same.
        var timedOut = isQueued ? Assert.IsType<RequestQueuedException>(failure).InnerException! : failure;
        Assert.IsType<TimeoutException>(Assert.IsType<TaskCanceledException>(timedOut).InnerException);
        Assert.Contains("timeout of 10 seconds", timedOut.Message, StringComparison.Ordinal);
        Assert.Equal(isQueued, failure.GetNotQueuedReason() is null);
        Assert.Equal(isQueued ? 1 : 0, (await app.EntriesAsync()).Count);
        Assert.Single(_server.Requests);
    }

    [Theory]
    [MemberData(nameof(Cancels), DisableDiscoveryEnumeration = true)]
    public async Task A_cancel_is_never_queued(string whose, Action<HttpClient, CancellationTokenSource> cancel)
    {
        await using var app = new TestApplication(client: SetTimeout, clock: _clock);
        using var caller = new CancellationTokenSource();
        var client = app.Client;
        var sending = client.SendAsync(Request(), caller.Token);
        await ReadByServerAsync();

        cancel(client, caller);

        var cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.IsNotType<TimeoutException>(cancelled.InnerException);
        Assert.Equal(caller.IsCancellationRequested, cancelled.CancellationToken == caller.Token);
        Assert.Empty(await app.EntriesAsync());
        Assert.Single(_server.Requests);
        Assert.NotEmpty(whose);
    }

    [Fact]
    public async Task A_cancel_of_the_synchronous_Send_is_never_queued()
    {
        await using var app = new TestApplication(client: SetTimeout, clock: _clock);
        using var caller = new CancellationTokenSource();
        var sending = app.Client.SendAsync(Request(), isAsync: false, caller.Token);
        await ReadByServerAsync();

        await caller.CancelAsync();

        var cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.Equal(caller.Token, cancelled.CancellationToken);
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [InlineData(10)]
    [InlineData(null)]
    [InlineData(-1)]
    public async Task HttpClient_no_longer_keeps_the_time_out_of_a_client_with_a_queue(int? client)
    {
        await using var app = new TestApplication(
            client: builder => builder.ConfigureHttpClient(http => http.Timeout = Seconds(client) ?? http.Timeout));

        Assert.Equal(Timeout.InfiniteTimeSpan, app.Client.Timeout);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_unwatched_request_keeps_the_time_out_of_its_client(bool isAsync)
    {
        await using var app = new TestApplication(client: SetTimeout, clock: _clock);

        var failure = await TimeOutAsync(app.Client.SendAsync(Request("GET"), isAsync), _timeout);

        Assert.IsType<TimeoutException>(Assert.IsType<TaskCanceledException>(failure).InnerException);
        Assert.Contains("timeout of 10 seconds", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_of_an_unwatched_response_that_stalls_keeps_the_time_out_of_its_client()
    {
        await using var app = new TestApplication(
            client: SetTimeout, primary: () => new StubHandler(static _ => Task.FromResult(Stalled())), clock: _clock);

        var reading = app.Client.GetAsync(_server.Uri);
        await Eventually.TrueAsync(() => _clock.NextTimerAt is not null, "the body is read");
        _clock.Advance(_timeout);

        Assert.IsType<TimeoutException>((await Assert.ThrowsAsync<TaskCanceledException>(() => reading)).InnerException);
    }

    [Fact]
    public async Task An_upload_that_moves_runs_out_of_no_time()
    {
        var parts = new SemaphoreSlim(0);
        var server = new StubHandler(async static request =>
        {
            await request.Content!.CopyToAsync(Stream.Null);
            return new();
        });
        await using var app = new TestApplication(client: SetTimeout, primary: () => server, clock: _clock);
        var read = 0;
        var content = new PushContent(async (stream, cancellationToken) =>
        {
            for (var i = 0; i < 5; i++)
            {
                await parts.WaitAsync(cancellationToken);
                await stream.WriteAsync("part "u8.ToArray(), cancellationToken);
                Interlocked.Increment(ref read);
            }
        });

        var sending = app.Client.PostAsync(_server.Uri, content);
        for (var i = 1; i <= 5; i++)
        {
            _clock.Advance(_timeout * 0.9);
            parts.Release();
            var sent = i;
            await Eventually.TrueAsync(() => Volatile.Read(ref read) == sent || sending.IsCompleted, "a part was read");
        }

        using var response = await sending;
        Assert.Empty(await app.EntriesAsync());
    }

    [Theory]
    [InlineData(null)]
    [InlineData(60)]
    public async Task Two_queues_of_one_client_take_over_its_time_out_once(int? attempt)
    {
        await using var app = new TestApplication(
            client: SetTimeout,
            inner: builder => builder.AddBackgroundSync("second", sync => sync.AttemptTimeout = Seconds(attempt)),
            clock: _clock);
        var client = app.Client;

        Assert.Equal(Timeout.InfiniteTimeSpan, client.Timeout);
        Assert.IsType<RequestQueuedException>(await TimeOutAsync(client.SendAsync(Request()), _timeout));
        Assert.Single(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_time_out_that_is_set_on_a_client_after_it_was_made_looks_like_a_cancel()
    {
        await using var app = new TestApplication(clock: _clock);
        var client = app.Client;
        client.Timeout = TimeSpan.FromMilliseconds(50);

        var timedOut = await Assert.ThrowsAsync<TaskCanceledException>(() => client.SendAsync(Request()));

        Assert.IsType<TimeoutException>(timedOut.InnerException);
        Assert.Empty(await app.EntriesAsync());
    }

    private static void SetTimeout(IHttpClientBuilder builder) => builder.ConfigureHttpClient(client => client.Timeout = _timeout);

    private static TimeSpan? Seconds(int? seconds) => seconds switch
    {
        null => null,
        < 0 => Timeout.InfiniteTimeSpan,
        _ => TimeSpan.FromSeconds(seconds.Value),
    };

    private static HttpResponseMessage Stalled() => new() { Content = new StreamContent(new StalledStream("first"u8.ToArray())) };

    private HttpRequestMessage Request(string method = "POST") =>
        new(new(method), _server.Uri) { Content = new StringContent("order") };

    /// <summary>Lets a request run out of time once the server has read it, and returns what the caller gets.</summary>
    private async Task<Exception> TimeOutAsync(Task<HttpResponseMessage> sending, TimeSpan after)
    {
        await ReadByServerAsync();
        Assert.Equal(_clock.GetUtcNow() + after, _clock.NextTimerAt);
        _clock.Advance(after);
        return await Assert.ThrowsAnyAsync<Exception>(() => sending);
    }

    private Task ReadByServerAsync() => Eventually.TrueAsync(() => _server.Requests.Count > 0, "the server has read the request");

    private sealed record OrderClient(HttpClient Client);
}

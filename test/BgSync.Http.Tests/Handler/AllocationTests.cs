using System.Diagnostics;
using System.Net.Http.Json;
using System.Reflection;
using BgSync.Http.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Handler;

/// <summary>The allocations of a request that is not queued, beyond those with an empty handler in the queue's place.</summary>
public sealed class AllocationTests
{
    private const int Times = 200;

    private static readonly Uri _uri = new("http://127.0.0.1/orders/17");
    private static readonly byte[] _bytes = new byte[1024];

    private static readonly Dictionary<string, Func<HttpContent>> _bodies = new()
    {
        ["text"] = static () => new StringContent("order"),
        ["JSON"] = static () => JsonContent.Create(_bytes),
        ["bytes"] = static () => new ByteArrayContent(_bytes),
        ["multipart"] = static () => new MultipartFormDataContent { { new ByteArrayContent(_bytes), "photo", "photo.jpg" } },
        ["a seekable stream"] = static () => new StreamContent(new MemoryStream(_bytes)),
    };

    public AllocationTests()
    {
        using var request = new ReplayRequest(HttpMethod.Get, _uri);
    }

    public static TheoryData<string, bool> UnmatchedRequests => new()
    {
        { "GET", true },
        { "GET", false },
        { "POST", true },
        { "POST", false },
    };

    public static TheoryData<string, int> MatchedRequests =>
        [.. from body in _bodies.Keys from routes in new[] { 1, 100 } select (body, routes)];

    [Theory]
    [MemberData(nameof(UnmatchedRequests))]
    public async Task A_request_that_no_route_matches_allocates_nothing(string method, bool isAsync)
    {
        using var server = new AnsweringServer();
        await using var app = Application(server, routes: 1);
        HttpRequestMessage Create() => new(new(method), new Uri(_uri, "/elsewhere"));

        var (watching, empty) = Measure(app, client =>
        {
            using var request = Create();
            // Computed once, here or by the server.
            _ = request.RequestUri!.AbsolutePath;
            (isAsync ? client.SendAsync(request).GetAwaiter().GetResult() : client.Send(request)).Dispose();
        });

        Assert.Equal(empty, watching);
    }

    [Theory]
    [MemberData(nameof(MatchedRequests))]
    public async Task A_request_that_is_answered_allocates_little(string body, int routes)
    {
        SkipWhereStateMachinesAreObjects();
        using var server = new AnsweringServer();
        await using var app = Application(server, routes);

        var (watching, empty) = Measure(app, client =>
        {
            using var request = Post(body);
            client.SendAsync(request).GetAwaiter().GetResult().Dispose();
        });
        Assert.InRange(watching - empty, 1, LimitOf(body));

        (watching, empty) = Measure(app, client =>
        {
            using var request = Post(body);
            client.Send(request).Dispose();
        });
        Assert.InRange(watching - empty, 1, LimitOf(body));
    }

    [Theory]
    [MemberData(nameof(MatchedRequests))]
    public async Task A_request_that_is_answered_later_allocates_little(string body, int routes)
    {
        SkipWhereStateMachinesAreObjects();
        using var server = new PendingServer();
        await using var app = Application(server, routes);

        var (watching, empty) = Measure(app, client =>
        {
            using var request = Post(body);
            var sending = client.SendAsync(request);
            server.Answer();
            sending.GetAwaiter().GetResult().Dispose();
        });

        Assert.InRange(watching - empty, 1, LimitOf(body));
    }

    /// <summary>
    /// In bytes, once a process has replayed a request: before, requests are not asked for their options, which are 104 bytes. JSON is kept
    /// beside its way out, because it is serialised once; a multipart content has the longest header.
    /// </summary>
    private static long LimitOf(string body) => body switch
    {
        "JSON" => 1088,
        "multipart" => 1368,
        _ => 1024,
    };

    private static void SkipWhereStateMachinesAreObjects() => Assert.SkipWhen(
        typeof(BackgroundSyncHandler).Assembly.GetCustomAttribute<DebuggableAttribute>() is { IsJITOptimizerDisabled: true },
        "Built for debugging, every call of an async method makes an object.");

    private static HttpRequestMessage Post(string body) => new(HttpMethod.Post, _uri) { Content = _bodies[body]() };

    /// <summary>A client with a queue, whose last route is the one for orders, and one with an empty handler.</summary>
    private static TestApplication Application(HttpMessageHandler server, int routes) => new(
        sync =>
        {
            for (var i = 1; i < routes; i++)
            {
                sync.Routes.Add($"POST /resource{i}/{{id}}");
            }

            sync.Routes.Add("POST /orders/{id}");
        },
        client: client => client.RemoveAllLoggers().ConfigureHttpClient(WithoutTimeout),
        services: services => services.AddHttpClient("empty", WithoutTimeout).RemoveAllLoggers()
            .AddHttpMessageHandler(static () => new EmptyHandler())
            .ConfigurePrimaryHttpMessageHandler(() => server),
        primary: () => server);

    /// <summary>The time-out of a client is kept by its queue, and costs there as much as in <see cref="HttpClient"/>.</summary>
    private static void WithoutTimeout(HttpClient client) => client.Timeout = Timeout.InfiniteTimeSpan;

    private static (long Watching, long Empty) Measure(TestApplication app, Action<HttpClient> send)
    {
        using var watching = app.Client;
        using var empty = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("empty");
        return (Measure(() => send(watching)), Measure(() => send(empty)));
    }

    /// <summary>The allocations of a send, once all that is made only once has been made.</summary>
    private static long Measure(Action send) => Enumerable.Range(0, 5).Min(_ =>
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < Times; i++)
        {
            send();
        }

        return (GC.GetAllocatedBytesForCurrentThread() - before) / Times;
    });

    private sealed class EmptyHandler : DelegatingHandler;

    /// <summary>Reads the body and answers at once.</summary>
    private sealed class AnsweringServer : HttpMessageHandler
    {
        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Content?.CopyTo(Stream.Null, null, cancellationToken);
            return new();
        }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(Send(request, cancellationToken));
    }

    /// <summary>Reads the body, and leaves the sender waiting as a socket does.</summary>
    private sealed class PendingServer : HttpMessageHandler
    {
        private TaskCompletionSource<HttpResponseMessage>? _pending;

        /// <summary>Answers on the caller's thread, which is the one that is measured.</summary>
        public void Answer() => _pending!.SetResult(new());

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Content?.CopyToAsync(Stream.Null, cancellationToken).GetAwaiter().GetResult();
            _pending = new TaskCompletionSource<HttpResponseMessage>();
            return _pending.Task;
        }
    }
}

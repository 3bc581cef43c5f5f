using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Logging;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>
/// Resilience handlers that stand outside of a queue, as in the templates of Aspire, are moved inside: one request is one entry.
/// </summary>
public sealed class ResilienceOrderTests
{
    private const int Moved = 6001;

    [Fact]
    public async Task A_refused_request_is_one_entry_whatever_the_defaults_of_all_clients()
    {
        await using var app = new Application();

        var queued = await Assert.ThrowsAsync<RequestQueuedException>(
            () => app.PostAsync(new($"http://127.0.0.1:{RawServer.RefusedPort()}/")));

        Assert.Equal(queued.EntryId, Assert.Single(await app.EntriesAsync()).Id);
        var line = Assert.Single(app.Logs.Lines, line => line.EventId == Moved);
        Assert.Equal(LogLevel.Information, line.Level);
        Assert.Contains("'api'", line.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_time_out_of_a_resilience_handler_is_queued()
    {
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = new Application(options =>
        {
            options.AttemptTimeout.Timeout = TimeSpan.FromMilliseconds(300);
            options.TotalRequestTimeout.Timeout = TimeSpan.FromSeconds(1);
        });

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.PostAsync(server.Uri));

        var entry = Assert.Single(await app.EntriesAsync());
        Assert.Equal(1, entry.Attempts);
        Assert.StartsWith("Timeout: ", entry.LastError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_who_got_an_answer_has_nothing_queued_and_the_handler_inside_retries_as_before()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = new Application();

        using var response = await app.PostAsync(server.Uri);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(2, server.Requests.Count);
        Assert.Single(server.Requests.Select(request => request.ValuesOf("Idempotency-Key").Single()).Distinct());
        Assert.Empty(await app.EntriesAsync());
    }

    [Fact]
    public async Task A_replay_goes_through_the_resilience_handler()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(200)));
        await using var app = new Application();
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StringContent("order") });

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 0), (summary.Delivered, summary.Remaining));
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task The_move_is_told_once_a_client()
    {
        await using var app = new Application();
        for (var i = 0; i < 3; i++)
        {
            // A pipeline each, as the factory builds them every few minutes.
            app.BuildPipeline();
        }

        Assert.Single(app.Logs.Lines, line => line.EventId == Moved);
    }

    [Fact]
    public async Task Handlers_keep_their_order_but_for_the_queues()
    {
        await using var app = new Application(
            client: builder => builder.AddHttpMessageHandler(() => new Named("first"))
                .AddStandardResilienceHandler().Services.AddHttpClient("api")
                .AddHttpMessageHandler(() => new Named("second"))
                .AddBackgroundSync("other")
                .AddHttpMessageHandler(() => new Named("third")),
            areDefaults: false,
            inner: builder => builder.AddHttpMessageHandler(() => new Named("fourth")).AddStandardHedgingHandler());

        Assert.Equal(
            ["first", "BackgroundSyncHandler", "BackgroundSyncHandler", "ResilienceHandler", "second", "third", "fourth"],
            app.BuildPipeline().Take(7));
        Assert.All(app.BuildPipeline().Skip(7).SkipLast(1), name => Assert.Equal("ResilienceHandler", name));
    }

    [Fact]
    public async Task A_queue_that_is_outside_already_stays_where_it_is()
    {
        await using var app = new Application(
            client: builder => builder.AddHttpMessageHandler(() => new Named("first")),
            areDefaults: false,
            inner: builder => builder.AddStandardResilienceHandler());

        Assert.Equal(["first", "BackgroundSyncHandler", "ResilienceHandler"], app.BuildPipeline().Take(3));
        Assert.DoesNotContain(app.Logs.Lines, line => line.EventId == Moved);
    }

    [Fact]
    public async Task The_handler_of_Microsoft_Extensions_Http_Polly_and_what_derives_from_it_is_a_resilience_handler()
    {
        await using var app = new Application(
            client: builder => builder.AddHttpMessageHandler(() => new DerivedPolicyHandler()), areDefaults: false);

        Assert.Equal(["BackgroundSyncHandler", nameof(DerivedPolicyHandler)], app.BuildPipeline().Take(2));
    }

    [Fact]
    public async Task A_handler_that_another_filter_adds_is_seen_too()
    {
        await using var app = new Application(
            client: builder => builder.Services.AddSingleton<IHttpMessageHandlerBuilderFilter, AddingFilter>(), areDefaults: false);

        Assert.Equal(["BackgroundSyncHandler", nameof(DerivedPolicyHandler)], app.BuildPipeline().Take(2));
    }

    [Fact]
    public async Task A_client_without_a_queue_is_left_as_it_is()
    {
        await using var app = new Application(services: services => services.AddHttpClient("plain"));

        Assert.Equal("ResilienceHandler", app.BuildPipeline("plain")[0]);
        Assert.Empty(app.Logs.Lines);
    }

    /// <summary>An application whose clients have all a resilience handler, as one of Aspire's template.</summary>
    private sealed class Application : IAsyncDisposable
    {
        private readonly TempDirectory _directory = new();
        private readonly ServiceProvider _services;

        public Application(
            Action<HttpStandardResilienceOptions>? configure = null,
            Action<IHttpClientBuilder>? client = null,
            bool areDefaults = true,
            Action<IHttpClientBuilder>? inner = null,
            Action<IServiceCollection>? services = null)
        {
            var collection = new ServiceCollection();
            collection.AddLogging(logging => logging.AddProvider(Logs));
            if (areDefaults)
            {
                collection.ConfigureHttpClientDefaults(http => http.AddStandardResilienceHandler(options =>
                {
                    options.Retry.Delay = TimeSpan.FromMilliseconds(10);
                    configure?.Invoke(options);
                }));
            }

            var builder = collection.AddHttpClient("api");
            client?.Invoke(builder);
            builder.AddBackgroundSync("orders");
            inner?.Invoke(builder);
            collection.AddBackgroundSyncSqlite(Path.Combine(_directory.Path, "queues.db"));
            services?.Invoke(collection);
            _services = collection.BuildServiceProvider();
        }

        public LogCollector Logs { get; } = new();

        public IBackgroundSyncQueue Queue => _services.GetRequiredKeyedService<IBackgroundSyncQueue>("orders");

        public Task<HttpResponseMessage> PostAsync(Uri uri) =>
            _services.GetRequiredService<IHttpClientFactory>().CreateClient("api").PostAsync(uri, new StringContent("order"));

        public async Task<List<QueuedEntry>> EntriesAsync() => await Queue.GetAllAsync().ToListAsync();

        /// <summary>Builds the pipeline of a client anew.</summary>
        /// <returns>The names of its handlers, from the outside to the inside, but for those that log.</returns>
        public List<string> BuildPipeline(string client = "api")
        {
            var builder = _services.GetRequiredService<HttpMessageHandlerBuilder>();
            builder.Name = client;
            var configure = _services.GetServices<IHttpMessageHandlerBuilderFilter>().Reverse().Aggregate(
                (HttpMessageHandlerBuilder built) =>
                {
                    var options = _services.GetRequiredService<Microsoft.Extensions.Options.IOptionsMonitor<HttpClientFactoryOptions>>();
                    foreach (var action in options.Get(client).HttpMessageHandlerBuilderActions)
                    {
                        action(built);
                    }
                },
                (Action<HttpMessageHandlerBuilder> next, IHttpMessageHandlerBuilderFilter filter) => filter.Configure(next));
            configure(builder);
            return [.. builder.AdditionalHandlers
                .Where(handler => !handler.GetType().Name.Contains("Logging", StringComparison.Ordinal))
                .Select(handler => (handler as Named)?.Name ?? handler.GetType().Name)];
        }

        public async ValueTask DisposeAsync()
        {
            await _services.DisposeAsync();
            _directory.Dispose();
        }
    }

    private sealed class Named(string name) : DelegatingHandler
    {
        public string Name { get; } = name;
    }

    private sealed class DerivedPolicyHandler : PolicyHttpMessageHandler;

    private sealed class AddingFilter : IHttpMessageHandlerBuilderFilter
    {
        public Action<HttpMessageHandlerBuilder> Configure(Action<HttpMessageHandlerBuilder> next) => builder =>
        {
            next(builder);
            builder.AdditionalHandlers.Insert(0, new DerivedPolicyHandler());
        };
    }
}

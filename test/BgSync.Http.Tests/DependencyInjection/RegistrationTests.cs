using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>The services that <c>AddBackgroundSync</c> adds to a container, and the arguments that it refuses.</summary>
public sealed class RegistrationTests
{
    private static readonly Uri _orders = new("http://example.com/orders");

    private readonly ServiceCollection _services = [];

    [Fact]
    public void Every_overload_returns_the_builder()
    {
        var client = _services.AddHttpClient("api");

        Assert.Same(client, client.AddBackgroundSync("plain"));
        Assert.Same(client, client.AddBackgroundSync("by-code", static _ => { }));
        Assert.Same(client, client.AddBackgroundSync("by-configuration", new ConfigurationManager().GetSection("BackgroundSync")));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("Orders-2_b.c")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123")]
    public void A_name_of_letters_digits_and_three_marks_is_a_queues_name(string name)
    {
        _services.AddHttpClient("api").AddBackgroundSync(name);

        using var provider = WithMemory();
        Assert.Equal(name, provider.GetRequiredKeyedService<IBackgroundSyncQueue>(name).Name);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("my queue")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("żółw")]
    [InlineData("a\0")]
    [InlineData("01234567890123456789012345678901234567890123456789012345678901234")]
    public void A_name_that_is_none_is_refused_with_what_to_write(string name)
    {
        var refused = Assert.Throws<ArgumentException>(() => _services.AddHttpClient("api").AddBackgroundSync(name));

        Assert.StartsWith(
            $"'{name}' is no name for a queue. Write 1 to 64 letters (a-z, A-Z), digits, '-', '_' or '.', such as \"orders\".",
            refused.Message,
            StringComparison.Ordinal);
        Assert.Equal("queueName", refused.ParamName);
    }

    [Fact]
    public void No_name_at_all_is_refused() =>
        Assert.Throws<ArgumentNullException>("queueName", () => _services.AddHttpClient("api").AddBackgroundSync(null!));

    [Fact]
    public void A_second_queue_of_one_name_is_refused_and_both_clients_are_named()
    {
        _services.AddHttpClient("first").AddBackgroundSync("orders");

        var refused = Assert.Throws<InvalidOperationException>(() => _services.AddHttpClient("second").AddBackgroundSync("orders"));

        Assert.Equal(
            "The client 'second' cannot have a queue 'orders': the client 'first' has it. Give each AddBackgroundSync a name of its own.",
            refused.Message);
    }

    [Fact]
    public void Queue_names_are_told_apart_by_case_and_by_container()
    {
        _services.AddHttpClient("api").AddBackgroundSync("orders").AddBackgroundSync("Orders");

        new ServiceCollection().AddHttpClient("api").AddBackgroundSync("orders");
    }

    [Fact]
    public void The_defaults_of_all_clients_cannot_have_a_queue()
    {
        var refused = Assert.Throws<InvalidOperationException>(
            () => _services.ConfigureHttpClientDefaults(static client => client.AddBackgroundSync("orders")));

        Assert.Equal(
            "A queue belongs to one client. Call AddBackgroundSync on AddHttpClient(…), not on the defaults of all clients.",
            refused.Message);
    }

    [Fact]
    public async Task A_queue_is_one_object_by_its_name()
    {
        _services.AddHttpClient("api").AddBackgroundSync("orders").AddBackgroundSync("photos");
        await using var provider = WithMemory();

        var orders = provider.GetRequiredKeyedService<IBackgroundSyncQueue>("orders");

        Assert.Same(orders, provider.GetRequiredKeyedService<IBackgroundSyncQueue>("orders"));
        Assert.NotSame(orders, provider.GetRequiredKeyedService<IBackgroundSyncQueue>("photos"));
        Assert.Null(provider.GetKeyedService<IBackgroundSyncQueue>("letters"));
    }

    [Fact]
    public async Task A_class_gets_its_queue_by_the_key()
    {
        _services.AddHttpClient("api").AddBackgroundSync("orders");
        _services.AddTransient<Outbox>();
        await using var provider = WithMemory();

        Assert.Equal("orders", provider.GetRequiredService<Outbox>().Queue.Name);
    }

    [Fact]
    public async Task Many_queues_have_one_service_that_hosts_them()
    {
        _services.AddHttpClient("a").AddBackgroundSync("a1").AddBackgroundSync("a2");
        _services.AddHttpClient("b").AddBackgroundSync("b");
        _services.AddBackgroundSyncMemory();
        await using var provider = WithMemory();

        Assert.Single(provider.GetServices<IHostedService>());
        Assert.Single(provider.GetServices<IBackgroundSync>());
    }

    [Fact]
    public async Task A_host_in_development_finds_nothing_wrong()
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { EnvironmentName = Environments.Development });
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders").ConfigurePrimaryHttpMessageHandler(() => new FakeWire());
        builder.Services.AddBackgroundSyncMemory();
        using var host = builder.Build();

        await host.StartAsync();
        await host.StopAsync();
    }

    [Fact]
    public async Task A_host_starts_and_stops_the_replay()
    {
        var wire = new FakeWire();
        var builder = new HostApplicationBuilder();
        builder.Services.AddHttpClient("api")
            .AddBackgroundSync("orders", static sync => sync.Replay.TriggerJitter = TimeSpan.Zero)
            .ConfigurePrimaryHttpMessageHandler(() => wire);
        builder.Services.AddBackgroundSyncMemory();
        using var host = builder.Build();
        await QueueOneAsync(host.Services, "api");

        wire.IsOnline = true;
        await host.StartAsync();

        await Eventually.TrueAsync(() => wire.Received.Count == 1, "the order arrives without a call by the application");
        await host.StopAsync();
    }

    [Fact]
    public async Task Without_a_start_requests_are_queued_and_sent_by_hand()
    {
        var wire = new FakeWire();
        _services.AddHttpClient("api").AddBackgroundSync("orders").ConfigurePrimaryHttpMessageHandler(() => wire);
        await using var provider = WithMemory();
        await QueueOneAsync(provider, "api");

        wire.IsOnline = true;
        var summary = await provider.GetRequiredService<IBackgroundSync>().ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(new ReplaySummary(Delivered: 1, DeadLettered: 0, Remaining: 0, Completed: true), summary);
    }

    [Fact]
    public async Task A_typed_client_has_a_queue_like_any_other()
    {
        var wire = new FakeWire();
        _services.AddHttpClient<OrderClient>(static client => client.BaseAddress = new("http://example.com"))
            .AddBackgroundSync("orders")
            .ConfigurePrimaryHttpMessageHandler(() => wire);
        await using var provider = WithMemory();
        await Assert.ThrowsAsync<RequestQueuedException>(provider.GetRequiredService<OrderClient>().OrderAsync);

        wire.IsOnline = true;
        await provider.GetRequiredKeyedService<IBackgroundSyncQueue>("orders").ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(_orders, Assert.Single(wire.Received).RequestUri);
    }

    [Fact]
    public async Task Two_queues_of_one_client_each_take_their_own_routes()
    {
        var wire = new FakeWire();
        _services.AddHttpClient("api")
            .AddBackgroundSync("orders", static sync => sync.Routes.Add("/orders"))
            .AddBackgroundSync("photos", static sync => sync.Routes.Add("/photos"))
            .ConfigurePrimaryHttpMessageHandler(() => wire);
        await using var provider = WithMemory();
        var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("api");

        var order = await Assert.ThrowsAsync<RequestQueuedException>(() => client.PostAsync(_orders, null));
        var photo = await Assert.ThrowsAsync<RequestQueuedException>(() => client.PostAsync(new Uri(_orders, "/photos"), null));

        Assert.Equal(("orders", "photos"), (order.Queue, photo.Queue));
        wire.IsOnline = true;
        Assert.Equal(2, (await provider.GetRequiredService<IBackgroundSync>().ReplayAsync(Timeout.InfiniteTimeSpan)).Delivered);
    }

    [Fact]
    public async Task Two_queues_of_one_client_take_over_its_timeout_once()
    {
        _services.AddHttpClient("api", static client => client.Timeout = TimeSpan.FromSeconds(10))
            .AddBackgroundSync("orders")
            .AddBackgroundSync("photos");
        await using var provider = WithMemory();

        var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("api");

        Assert.Equal(TimeSpan.FromSeconds(10), provider.GetRequiredKeyedService<ClientTimeout>("api").Value);
        Assert.Equal(Timeout.InfiniteTimeSpan, client.Timeout);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_container_may_be_disposed_of_without_awaiting(bool inMemory)
    {
        using var directory = new TempDirectory();
        _services.AddHttpClient("api").AddBackgroundSync("orders").ConfigurePrimaryHttpMessageHandler(() => new FakeWire());
        _ = inMemory ? _services.AddBackgroundSyncMemory() : _services.AddBackgroundSyncSqlite(directory.File("queues.db"));
        using var provider = _services.BuildServiceProvider();

        await QueueOneAsync(provider, "api");
    }

    [Fact]
    public async Task A_container_that_is_disposed_of_while_it_runs_listens_to_the_network_no_more()
    {
        var network = new FakeNetworkStatus();
        _services.AddHttpClient("api").AddBackgroundSync("orders");
        _services.AddSingleton<INetworkStatus>(network);
        await using (var provider = WithMemory())
        {
            await provider.GetRequiredService<IBackgroundSync>().StartAsync();
            Assert.Equal(1, network.SubscriberCount);
        }

        Assert.Equal(0, network.SubscriberCount);
    }

    private ServiceProvider WithMemory() => _services.AddBackgroundSyncMemory()
        .BuildServiceProvider(new ServiceProviderOptions { ValidateOnBuild = true, ValidateScopes = true });

    private static async Task QueueOneAsync(IServiceProvider provider, string client) =>
        await Assert.ThrowsAsync<RequestQueuedException>(
            () => provider.GetRequiredService<IHttpClientFactory>().CreateClient(client).PostAsync(_orders, null));

    private sealed class Outbox([FromKeyedServices("orders")] IBackgroundSyncQueue queue)
    {
        public IBackgroundSyncQueue Queue => queue;
    }

    private sealed class OrderClient(HttpClient http)
    {
        public Task<HttpResponseMessage> OrderAsync() => http.PostAsync("orders", new StringContent("order"));
    }
}

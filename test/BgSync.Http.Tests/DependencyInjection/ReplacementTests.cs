using System.Reflection;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Storage.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>The parts that the application may choose, or bring along.</summary>
public sealed class ReplacementTests
{
    private readonly ServiceCollection _services = [];

    [Fact]
    public async Task Queues_are_in_the_applications_data_folder_when_no_store_is_named()
    {
        _services.AddHttpClient("api").AddBackgroundSync("orders");
        await using var provider = _services.BuildServiceProvider();

        Assert.IsType<SqliteQueueStore>(provider.GetRequiredService<IQueueStore>());
        Assert.Equal(
            Path.Combine(
                Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify),
                Assembly.GetEntryAssembly()!.GetName().Name!,
                "bgsync",
                "queues.db"),
            SqlitePath.Of(provider.GetRequiredService<IOptions<SqliteStoreOptions>>().Value));
    }

    [Fact]
    public void Where_there_is_no_data_folder_the_error_says_how_to_name_a_file()
    {
        var failure = Assert.Throws<QueueStoreException>(() => SqlitePath.InDataFolder("", "app"));

        Assert.Contains("services.AddBackgroundSyncSqlite(\"path\")", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_store_that_is_named_is_taken_before_the_queue_or_after(bool before)
    {
        await using var provider = Build(before, services => services.AddBackgroundSyncMemory());

        Assert.IsType<MemoryQueueStore>(provider.GetRequiredService<IQueueStore>());
    }

    [Fact]
    public async Task The_store_that_is_named_last_is_taken()
    {
        using var directory = new TempDirectory();
        _services
            .AddBackgroundSyncSqlite(directory.File("first.db"))
            .AddBackgroundSyncMemory()
            .AddBackgroundSyncSqlite(directory.File("last.db"));
        await using var provider = _services.BuildServiceProvider();

        await provider.GetRequiredService<IQueueStore>().CountAsync("orders", CancellationToken.None);

        Assert.Single(provider.GetServices<IQueueStore>());
        Assert.True(File.Exists(directory.File("last.db")));
        Assert.False(File.Exists(directory.File("first.db")));
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    public void A_store_without_a_path_is_refused(string? path) =>
        Assert.ThrowsAny<ArgumentException>(() => _services.AddBackgroundSyncSqlite(path!));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_store_of_the_users_own_is_respected_before_the_queue_or_after(bool before)
    {
        await using var store = new MemoryQueueStore(TimeProvider.System);
        await using var provider = Build(before, services => services.AddSingleton<IQueueStore>(store));

        Assert.Same(store, provider.GetRequiredService<IQueueStore>());
        await QueueOneAsync(provider);
        Assert.Equal(1, (await store.CountAsync("orders", CancellationToken.None)).Pending);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_clock_of_the_users_own_is_respected_before_the_queue_or_after(bool before)
    {
        var clock = new TestClock();
        await using var provider = Build(
            before, services => services.AddSingleton<TimeProvider>(clock).AddSingleton<IQueueStore, MemoryQueueStore>());

        await QueueOneAsync(provider);

        var entry = Assert.Single(await provider.GetRequiredKeyedService<IBackgroundSyncQueue>("orders").GetAllAsync().ToListAsync());
        Assert.Equal(clock.GetUtcNow(), entry.Timestamp);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_network_of_the_users_own_is_respected_before_the_queue_or_after(bool before)
    {
        var network = new FakeNetworkStatus();
        await using var provider = Build(
            before, services => services.AddSingleton<INetworkStatus>(network).AddSingleton<IQueueStore, MemoryQueueStore>());
        var sync = provider.GetRequiredService<IBackgroundSync>();

        await sync.StartAsync();
        Assert.Equal(1, network.SubscriberCount);

        await sync.StopAsync();
        Assert.Equal(0, network.SubscriberCount);
    }

    private ServiceProvider Build(bool before, Action<IServiceCollection> replace)
    {
        if (before)
        {
            replace(_services);
        }

        _services.AddHttpClient("api").AddBackgroundSync("orders").ConfigurePrimaryHttpMessageHandler(() => new FakeWire());
        if (!before)
        {
            replace(_services);
        }

        return _services.BuildServiceProvider();
    }

    private static async Task QueueOneAsync(IServiceProvider provider) =>
        await Assert.ThrowsAsync<RequestQueuedException>(() => provider.GetRequiredService<IHttpClientFactory>()
            .CreateClient("api").PostAsync(new Uri("http://example.com/orders"), null));
}

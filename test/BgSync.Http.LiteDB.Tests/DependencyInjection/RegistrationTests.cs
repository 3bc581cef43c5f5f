using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using TestKit;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.DependencyInjection;

public sealed class RegistrationTests
{
    [Fact]
    public async Task The_store_takes_the_place_of_the_default_one_wherever_it_is_named()
    {
        using var directory = new TempDirectory();
        var services = new ServiceCollection();
        services.AddBackgroundSyncLiteDB($"Filename={directory.File("queues.db")};Password=secret");
        services.AddLogging();
        services.AddHttpClient("api").AddBackgroundSync("orders");
        await using var provider = services.BuildServiceProvider();

        var store = provider.GetRequiredService<IQueueStore>();

        Assert.IsType<LiteDBQueueStore>(store);
        Assert.Same(store, Assert.Single(provider.GetServices<IQueueStore>()));
        Assert.Equal(0, (await store.CountAsync("orders", TestContext.Current.CancellationToken)).Pending);
        Assert.True(File.Exists(directory.File("queues.db")));
    }

    [Fact]
    public async Task Options_set_in_code_are_taken()
    {
        var services = new ServiceCollection();
        services.AddBackgroundSyncLiteDB(options => options.ConnectionString = "elsewhere.db");
        await using var provider = services.BuildServiceProvider();

        Assert.Equal("elsewhere.db", provider.GetRequiredService<IOptions<LiteDBStoreOptions>>().Value.ConnectionString);
    }

    [Fact]
    public void A_file_must_be_named() =>
        Assert.Throws<ArgumentException>(() => new ServiceCollection().AddBackgroundSyncLiteDB(""));
}

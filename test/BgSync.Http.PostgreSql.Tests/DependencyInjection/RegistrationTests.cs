using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using TestKit;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.DependencyInjection;

/// <summary>An application whose queue is in PostgreSQL, from its client to the server.</summary>
public sealed class RegistrationTests(ClassDatabase shared) : IClassFixture<ClassDatabase>, IAsyncLifetime
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        // Skips the test where there is no server.
        _ = shared.Database;
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync() => await shared.Database.ResetAsync();

    [Theory]
    [InlineData("data source")]
    [InlineData("connection string")]
    [InlineData("container")]
    public async Task A_request_that_cannot_be_sent_is_kept_and_arrives(string from)
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var services = Build(services => _ = from switch
        {
            "data source" => services.AddBackgroundSyncPostgreSql(shared.Database.DataSource),
            "connection string" => services.AddBackgroundSyncPostgreSql(shared.Database.ConnectionString),
            _ => services.AddSingleton(shared.Database.DataSource).AddBackgroundSyncPostgreSql(),
        });
        await server.StopAsync();
        var client = services.GetRequiredService<IHttpClientFactory>().CreateClient("api");
        await Assert.ThrowsAsync<RequestQueuedException>(() => client.PostAsync(server.Uri, new StringContent("hello"), Cancellation));
        Assert.Equal(1, await shared.Database.ScalarAsync("SELECT count(*) FROM bgsync.entry"));

        server.Start();
        var summary = await services.GetRequiredService<IBackgroundSync>().ReplayAsync(TimeSpan.FromSeconds(30), Cancellation);

        Assert.Equal(1, summary.Delivered);
        Assert.Equal("hello", Assert.Single(server.Requests).Text);
        Assert.Equal(0, await shared.Database.ScalarAsync("SELECT count(*) FROM bgsync.entry"));
    }

    [Fact]
    public async Task What_one_application_queues_another_sends_without_waiting_for_its_timer()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var sender = Build(
            services => services.AddBackgroundSyncPostgreSql(shared.Database.DataSource),
            sync => sync.Replay.Interval = TimeSpan.FromDays(1));
        await using var queueing = Build(services => services.AddBackgroundSyncPostgreSql(shared.Database.DataSource));
        await sender.GetRequiredService<IBackgroundSync>().StartAsync(Cancellation);
        await Eventually.TrueAsync(
            () => shared.Database.ScalarAsync(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'")
                .GetAwaiter().GetResult() == 1,
            "the first listens");

        // Its own loop is not started: only the other can send it.
        var queue = queueing.GetRequiredKeyedService<IBackgroundSyncQueue>("orders");
        await queue.PushAsync(new HttpRequestMessage(HttpMethod.Post, server.Uri), cancellationToken: Cancellation);

        await Eventually.TrueAsync(() => server.Requests.Count == 1, "the other sends it");
        await sender.GetRequiredService<IBackgroundSync>().StopAsync(Cancellation);
    }

    [Fact]
    public async Task A_role_that_may_only_use_the_store_is_enough()
    {
        await using var application = NpgsqlDataSource.Create(await shared.Database.CreateRoleAsync("application"));
        await shared.Database.ExecuteAsync(PostgreSqlMigrations.GetGrants("application"));
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(503), Scripts.Respond(400), Scripts.Respond(200)));
        await using var services = Build(services => services.AddBackgroundSyncPostgreSql(application));
        var queue = services.GetRequiredKeyedService<IBackgroundSyncQueue>("orders");
        var store = services.GetRequiredService<IQueueStore>();

        // A body in chunks, a retry, a dead letter, its way back, a delivery and its receipt, what a held request needs, and the sweepers.
        var post = new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new ByteArrayContent(new byte[1 << 20]) };
        await queue.PushAsync(post, cancellationToken: Cancellation);
        var sync = services.GetRequiredService<IBackgroundSync>();
        await sync.ReplayAsync(TimeSpan.FromSeconds(30), Cancellation);
        await sync.ReplayAsync(TimeSpan.FromSeconds(30), Cancellation);
        var dead = Assert.Single(await queue.GetDeadLettersAsync(Cancellation).ToListAsync(Cancellation));
        Assert.True(await queue.RequeueAsync(dead.Id, Cancellation));
        await sync.ReplayAsync(TimeSpan.FromSeconds(30), Cancellation);

        Assert.Equal(1 << 20, server.Requests[^1].Body.Length);
        Assert.Equal(0, (await queue.CountAsync(Cancellation)).Pending);
        Assert.NotNull(await queue.GetReceiptAsync(dead.Id, Cancellation));
        await queue.PauseAsync("by hand", Cancellation);
        await queue.ResumeAsync(Cancellation);
        await store.ExpireAsync("orders", 10, keep: true, Cancellation);
        await store.ReclaimAsync(Cancellation);
        await store.ForgetReceiptsAsync("orders", DateTimeOffset.UnixEpoch, 10, Cancellation);
        Assert.Equal(0, await queue.ClearAsync(Cancellation));
    }

    [Fact]
    public void A_container_without_a_data_source_says_what_to_add()
    {
        using var services = Build(static services => services.AddBackgroundSyncPostgreSql());

        var missing = Assert.Throws<InvalidOperationException>(services.GetRequiredService<IQueueStore>);

        Assert.Contains("AddNpgsqlDataSource", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_cannot_be_are_refused_with_what_to_write_instead()
    {
        using var services = Build(static services => services.AddBackgroundSyncPostgreSql("Host=127.0.0.1", static options =>
        {
            options.Schema = "Not-a-schema";
            options.OwnerTimeout = TimeSpan.Zero;
        }));

        var refused = Assert.Throws<OptionsValidationException>(services.GetRequiredService<IStartupValidator>().Validate);

        Assert.Equal(2, refused.Failures.Count());
        Assert.Contains("Schema is 'Not-a-schema'; write 1 to 63 small letters", refused.Message, StringComparison.Ordinal);
        Assert.Contains("OwnerTimeout is 00:00:00; write 5 seconds to 1 day", refused.Message, StringComparison.Ordinal);
    }

    private static ServiceProvider Build(Action<IServiceCollection> store, Action<BackgroundSyncOptions>? configure = null)
    {
        var services = new ServiceCollection();
        services.AddLogging(static logging => logging.SetMinimumLevel(LogLevel.Trace));
        services.AddHttpClient("api").AddBackgroundSync("orders", sync =>
        {
            sync.Replay.TriggerJitter = TimeSpan.Zero;
            sync.Receipts.Retention = TimeSpan.FromDays(1);
            configure?.Invoke(sync);
        });
        store(services);
        return services.BuildServiceProvider(new ServiceProviderOptions { ValidateOnBuild = true, ValidateScopes = true });
    }
}

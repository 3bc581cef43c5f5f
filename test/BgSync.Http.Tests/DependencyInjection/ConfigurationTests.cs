using System.Net;
using System.Reflection;
using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>The options of a queue, from a section of the configuration.</summary>
public sealed class ConfigurationTests
{
    [Fact]
    public async Task Every_option_that_a_text_can_say_is_bound()
    {
        await using var provider = Build("""
            {
              "WhenQueued": "Wait",
              "WaitTimeout": "00:00:50",
              "Overtaking": "Never",
              "WriteAhead": true,
              "AttemptTimeout": "00:00:10",
              "MaxRetentionTime": "2.00:00:00",
              "IdempotencyKeyHeader": "X-Request-Key",
              "IdempotencyKeyFormat": "QuotedString",
              "EnqueueTimeout": "00:00:40",
              "QueuedStatuses": [ "ServiceUnavailable", "429" ],
              "Retry": {
                "MaxAttempts": 7,
                "SkipAfterAttempts": 6,
                "MinBackoff": "00:00:02",
                "MaxBackoff": "00:03:00",
                "Delays": [ "00:00:10", "00:01:00", "-00:00:00.001" ],
                "MaxRetryAfter": "01:00:00",
                "RejectionGrace": "00:05:00"
              },
              "Limits": {
                "MaxBodyLength": 5000000000,
                "MaxEntries": 5000000000,
                "MaxBytes": 6000000000,
                "WhenFull": "DropFirstToExpire"
              },
              "Replay": {
                "Interval": "00:00:20",
                "TriggerJitter": "00:00:03",
                "MaxConcurrentLanes": 3,
                "LeaseDuration": "00:02:00",
                "ShutdownGrace": "00:00:04"
              },
              "DeadLetters": { "MaxCount": 8, "Retention": "3.00:00:00", "DiscardExpired": true },
              "Receipts": { "Retention": "12:00:00", "ResponseBodyLength": 100 },
              "Capture": { "SecretHeaders": [ "X-Api-Key" ], "InlineBodyLength": 1024, "Options": [ "tenant" ] },
              "DeliveredStatuses": [ 201 ],
              "ExpectContentType": "application/json",
              "AcceptRedirects": true
            }
            """);

        var options = OptionsOf(provider);

        Assert.Equal(WhenQueued.Wait, options.WhenQueued);
        Assert.Equal(TimeSpan.FromSeconds(50), options.WaitTimeout);
        Assert.Equal(TimeSpan.FromHours(12), options.Receipts.Retention);
        Assert.Equal(100, options.Receipts.ResponseBodyLength);
        Assert.Equal(Overtaking.Never, options.Overtaking);
        Assert.True(options.WriteAhead);
        Assert.Equal(TimeSpan.FromSeconds(10), options.AttemptTimeout);
        Assert.Equal(TimeSpan.FromDays(2), options.MaxRetentionTime);
        Assert.True(options.DeadLetters.DiscardExpired);
        Assert.Equal((7, 6), (options.Retry.MaxAttempts, options.Retry.SkipAfterAttempts));
        Assert.Equal(TimeSpan.FromSeconds(2), options.Retry.MinBackoff);
        Assert.Equal(TimeSpan.FromMinutes(3), options.Retry.MaxBackoff);
        Assert.Equal([TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(1), Timeout.InfiniteTimeSpan], options.Retry.Delays);
        Assert.Equal(TimeSpan.FromHours(1), options.Retry.MaxRetryAfter);
        Assert.Equal(TimeSpan.FromSeconds(20), options.Replay.Interval);
        Assert.Equal(TimeSpan.FromSeconds(3), options.Replay.TriggerJitter);
        Assert.Equal(3, options.Replay.MaxConcurrentLanes);
        Assert.Equal(TimeSpan.FromMinutes(2), options.Replay.LeaseDuration);
        Assert.Equal(TimeSpan.FromSeconds(4), options.Replay.ShutdownGrace);
        Assert.Equal("X-Request-Key", options.IdempotencyKeyHeader);
        Assert.Equal(IdempotencyKeyFormat.QuotedString, options.IdempotencyKeyFormat);
        Assert.Equal(5_000_000_000, options.Limits.MaxBodyLength);
        Assert.Equal((5_000_000_000, 6_000_000_000), (options.Limits.MaxEntries, options.Limits.MaxBytes));
        Assert.Equal(WhenFull.DropFirstToExpire, options.Limits.WhenFull);
        Assert.Equal((8, TimeSpan.FromDays(3)), (options.DeadLetters.MaxCount, options.DeadLetters.Retention));
        Assert.Equal(1024, options.Capture.InlineBodyLength);
        Assert.Equal(["tenant"], options.Capture.Options);
        Assert.Equal([HttpStatusCode.Created], options.DeliveredStatuses);
        Assert.Equal(("application/json", true), (options.ExpectContentType, options.AcceptRedirects));
        Assert.Equal(TimeSpan.FromMinutes(5), options.Retry.RejectionGrace);
        Assert.Equal(TimeSpan.FromSeconds(40), options.EnqueueTimeout);
        Assert.Equal([HttpStatusCode.TooManyRequests, HttpStatusCode.ServiceUnavailable], options.QueuedStatuses.Order());
    }

    [Fact]
    public void Every_option_is_bound_or_needs_code()
    {
        var test = SourceTree.Read("test/BgSync.Http.Tests/DependencyInjection/ConfigurationTests.cs");

        Assert.All(
            OptionsOf(typeof(BackgroundSyncOptions)).Select(option => option.Name),
            option => Assert.Contains($"\"{option}\": ", test, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Secret_headers_are_added_to_the_usual_ones()
    {
        await using var provider = Build("""{ "Capture": { "SecretHeaders": [ "X-Api-Key" ] } }""");

        Assert.Equal(
            ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"], OptionsOf(provider).Capture.SecretHeaders.Order());
    }

    [Fact]
    public async Task A_null_mints_no_key()
    {
        await using var provider = Build("""{ "IdempotencyKeyHeader": null }""");

        Assert.Null(OptionsOf(provider).IdempotencyKeyHeader);
    }

    [Fact]
    public async Task Routes_are_texts_with_a_method_or_without()
    {
        var wire = new FakeWire { IsOnline = true };
        await using var provider = Build("""{ "Routes": [ "POST /orders", "/photos/{photo}" ] }""", wire);
        var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("api");

        await client.PostAsync(new Uri("http://example.com/orders"), null);
        await client.PutAsync(new Uri("http://example.com/photos/1"), null);
        await client.PostAsync(new Uri("http://example.com/photos/1"), null);
        await client.PostAsync(new Uri("http://example.com/letters"), null);

        Assert.Equal(2, OptionsOf(provider).Routes.Count);
        Assert.Equal([true, false, true, false], wire.Received.Select(request => request.Headers.Contains("Idempotency-Key")));
    }

    [Theory]
    [InlineData("""{ "Routes": [ "POST /orders", "orders" ] }""", "BackgroundSync:orders:Routes:1", "Write \"/albums\"")]
    [InlineData("""{ "Routes": [ "P()ST /orders" ] }""", "BackgroundSync:orders:Routes:0", "is not an HTTP method")]
    [InlineData("""{ "Routes": [ { "Path": "/orders" } ] }""", "BackgroundSync:orders:Routes:0", "write a text such as \"POST /orders\"")]
    [InlineData("""{ "Routes": "/orders" }""", "BackgroundSync:orders:Routes", "write a list")]
    public async Task A_route_that_is_none_stops_the_start_and_its_place_is_named(string json, string place, string instead)
    {
        await using var provider = Build(json);

        var malformed = await Assert.ThrowsAsync<FormatException>(() => provider.GetRequiredService<IBackgroundSync>().StartAsync());

        Assert.Contains(place, malformed.Message, StringComparison.Ordinal);
        Assert.Contains(instead, malformed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_of_the_wrong_kind_stops_the_start_and_its_place_is_named()
    {
        await using var provider = Build("""{ "Retry": { "MaxAttempts": "many" } }""");

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(
            () => provider.GetRequiredService<IBackgroundSync>().StartAsync());

        Assert.Contains("BackgroundSync:orders:Retry:MaxAttempts", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_section_that_is_not_there_leaves_the_defaults()
    {
        await using var provider = Build("{}");

        Assert.Equal(new BackgroundSyncOptions().Retry.MaxAttempts, OptionsOf(provider).Retry.MaxAttempts);
        Assert.Equal(0, OptionsOf(provider).Routes.Count);
    }

    /// <summary>The options that a text can say, and those of their groups.</summary>
    private static IEnumerable<PropertyInfo> OptionsOf(Type group) => group.GetProperties()
        .Where(static option => !typeof(Delegate).IsAssignableFrom(option.PropertyType))
        .SelectMany(static option => IsGroup(option) ? OptionsOf(option.PropertyType).Prepend(option) : [option]);

    private static bool IsGroup(PropertyInfo option) => option.PropertyType.Name.EndsWith("Options", StringComparison.Ordinal);

    private static BackgroundSyncOptions OptionsOf(IServiceProvider provider) =>
        provider.GetRequiredService<IOptionsMonitor<BackgroundSyncOptions>>().Get("orders");

    private static ServiceProvider Build(string json, FakeWire? wire = null)
    {
        var configuration = new ConfigurationBuilder()
            .AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes($$"""{ "BackgroundSync": { "orders": {{json}} } }""")))
            .Build();
        var services = new ServiceCollection();
        services.AddHttpClient("api")
            .AddBackgroundSync("orders", configuration.GetSection("BackgroundSync:orders"))
            .ConfigurePrimaryHttpMessageHandler(() => wire ?? new FakeWire());
        return services.AddBackgroundSyncMemory().BuildServiceProvider();
    }
}

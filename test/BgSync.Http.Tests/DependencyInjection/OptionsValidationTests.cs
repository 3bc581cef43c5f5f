using System.Net;
using BgSync.Http.Replay;
using BgSync.Http.Requests;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>An option that cannot work stops the application at its start, and says what to write instead.</summary>
public sealed class OptionsValidationTests
{
    private static readonly TimeSpan _minute = TimeSpan.FromMinutes(1);

    public static TheoryData<string, Action<BackgroundSyncOptions>, string> Invalid => new()
    {
        { "MaxRetentionTime is 00:00:00", sync => sync.MaxRetentionTime = TimeSpan.Zero, "Timeout.InfiniteTimeSpan for ever" },
        { "MaxRetentionTime is -00:01:00", sync => sync.MaxRetentionTime = -_minute, "set a positive time" },
        { "AttemptTimeout is 00:00:00", sync => sync.AttemptTimeout = TimeSpan.Zero, "set a positive time" },
        { "AttemptTimeout is -00:01:00", sync => sync.AttemptTimeout = -_minute, "set a positive time" },
        { "AttemptTimeout is 50.00:00:00", sync => sync.AttemptTimeout = TimeSpan.FromDays(50), "of 49 days at most" },
        { "MinBackoff is 00:00:00", sync => sync.MinBackoff = TimeSpan.Zero, "set a positive time" },
        { "MinBackoff is -00:01:00", sync => sync.MinBackoff = -_minute, "set a positive time" },
        { "MinBackoff is 00:06:00", sync => sync.MinBackoff = 6 * _minute, "set it to MaxBackoff (00:05:00) at most" },
        { "MaxBackoff is -00:01:00", sync => sync.MaxBackoff = -_minute, "set a positive time" },
        { "RetryDelays[0] is 00:00:00", sync => sync.RetryDelays.Add(TimeSpan.Zero), "set a positive time" },
        { "RetryDelays[1] is 50.00:00:00", sync => AddDelays(sync, _minute, TimeSpan.FromDays(50)), "of 49 days at most" },
        {
            "RetryDelays[0] is -00:00:00.0010000", sync => AddDelays(sync, Timeout.InfiniteTimeSpan, _minute),
            "Timeout.InfiniteTimeSpan as the last one only"
        },
        { "MaxRetryAfter is -00:01:00", sync => sync.MaxRetryAfter = -_minute, "set a positive time" },
        { "ReplayInterval is 00:00:00", sync => sync.ReplayInterval = TimeSpan.Zero, "set a positive time" },
        { "ReplayInterval is 50.00:00:00", sync => sync.ReplayInterval = TimeSpan.FromDays(50), "of 49 days at most" },
        { "TriggerJitter is -00:01:00", sync => sync.TriggerJitter = -_minute, "set TimeSpan.Zero or a positive time" },
        { "TriggerJitter is 50.00:00:00", sync => sync.TriggerJitter = TimeSpan.FromDays(50), "of 49 days at most" },
        { "LeaseDuration is 00:00:00", sync => sync.LeaseDuration = TimeSpan.Zero, "set a positive time" },
        { "ShutdownGrace is -00:01:00", sync => sync.ShutdownGrace = -_minute, "set TimeSpan.Zero or a positive time" },
        { "EnqueueTimeout is -00:01:00", sync => sync.EnqueueTimeout = -_minute, "set a positive time" },
        { "MaxAttempts is 0", sync => sync.MaxAttempts = 0, "set 1 or more" },
        { "SkipAfterAttempts is 0", sync => sync.SkipAfterAttempts = 0, "set 1 or more, or null for never" },
        { "SkipAfterAttempts is 1000", sync => sync.SkipAfterAttempts = 1000, "set it below MaxAttempts (1000)" },
        { "MaxConcurrentLanes is 0", sync => sync.MaxConcurrentLanes = 0, "set 1 or more" },
        { "InlineBodyLength is -1", sync => sync.InlineBodyLength = -1, "set a number of bytes from 0 to 1048576" },
        { "InlineBodyLength is 1048577", sync => sync.InlineBodyLength = 1048577, "set a number of bytes from 0 to 1048576" },
        { "MaxBodyLength is -1", sync => sync.MaxBodyLength = -1, "null for no limit" },
        { "MaxEntries is 0", sync => sync.MaxEntries = 0, "null for no limit" },
        { "MaxBytes is -1", sync => sync.MaxBytes = -1, "null for no limit" },
        { "MaxDeadLetters is -1", sync => sync.MaxDeadLetters = -1, "null for no limit" },
        { "DeadLetterRetention is 00:00:00", sync => sync.DeadLetterRetention = TimeSpan.Zero, "Timeout.InfiniteTimeSpan for ever" },
        { "WhenFull is 7",
            sync => sync.WhenFull = (WhenFull)7,
            "set WhenFull.RefuseNew, WhenFull.DropOldest or WhenFull.DropFirstToExpire" },
        { "IdempotencyKeyHeader is ''", sync => sync.IdempotencyKeyHeader = "", "null to mint no key" },
        { "IdempotencyKeyHeader is 'My Key'", sync => sync.IdempotencyKeyHeader = "My Key", "set the name of a header" },
        { "IdempotencyKeyFormat is 7", sync => sync.IdempotencyKeyFormat = (IdempotencyKeyFormat)7, "set IdempotencyKeyFormat.Bare" },
        { "WhenQueued is 7",
            sync => sync.WhenQueued = (WhenQueued)7,
            "set WhenQueued.Throw, WhenQueued.ReturnAccepted or WhenQueued.Wait" },
        { "WaitTimeout is 00:00:00", sync => sync.WaitTimeout = TimeSpan.Zero, "set a positive time" },
        { "WaitTimeout is 50.00:00:00", sync => sync.WaitTimeout = TimeSpan.FromDays(50), "of 49 days at most" },
        { "ReceiptRetention is -00:01:00", sync => sync.ReceiptRetention = -_minute, "Timeout.InfiniteTimeSpan for ever" },
        {
            "ReceiptRetention is 00:01:59",
            sync => (sync.WhenQueued, sync.ReceiptRetention) = (WhenQueued.Wait, TimeSpan.FromSeconds(119)),
            "set it to twice ReplayInterval (00:01:00) at least"
        },
        { "ReplyBodyLength is -1", sync => sync.ReplyBodyLength = -1, "set a number of bytes from 0 to 1048576" },
        { "ReplyBodyLength is 1048577", sync => sync.ReplyBodyLength = 1048577, "set a number of bytes from 0 to 1048576" },
        { "Overtaking is 7", sync => sync.Overtaking = (Overtaking)7, "set Overtaking.Allowed or Overtaking.Never" },
        { "SecretHeaders is 'X-Api Key'", sync => sync.SecretHeaders.Add("X-Api Key"), "set names of headers" },
        { "QueuedStatuses is 200", sync => sync.QueuedStatuses.Add(HttpStatusCode.OK), "set statuses of 400 or more" },
        { "ClassifyFailure is null", sync => sync.ClassifyFailure = null!, "set FailureClassifier.Classify, the default" },
    };

    public static TheoryData<Action<BackgroundSyncOptions>> Valid => new()
    {
        sync => sync.MaxRetentionTime = Timeout.InfiniteTimeSpan,
        sync => sync.MaxRetentionTime = TimeSpan.MaxValue,
        sync => sync.AttemptTimeout = Timeout.InfiniteTimeSpan,
        sync => sync.MinBackoff = sync.MaxBackoff,
        sync => sync.TriggerJitter = TimeSpan.Zero,
        sync => sync.ShutdownGrace = TimeSpan.Zero,
        sync => AddDelays(sync, TimeSpan.FromTicks(1), TimeSpan.FromDays(49)),
        sync => AddDelays(sync, Timeout.InfiniteTimeSpan),
        sync => sync.UseWorkboxDefaults(),
        sync => sync.MaxAttempts = 1,
        sync => sync.SkipAfterAttempts = 1,
        sync => (sync.SkipAfterAttempts, sync.MaxAttempts) = (6, 7),
        sync => sync.WaitTimeout = Timeout.InfiniteTimeSpan,
        sync => sync.ReceiptRetention = TimeSpan.Zero,
        sync => sync.ReceiptRetention = TimeSpan.MaxValue,
        sync => (sync.WhenQueued, sync.ReceiptRetention) = (WhenQueued.Wait, 2 * sync.ReplayInterval),
        sync => (sync.WhenQueued, sync.ReceiptRetention) = (WhenQueued.Wait, Timeout.InfiniteTimeSpan),
        sync => sync.ReplyBodyLength = 0,
        sync => sync.ReplyBodyLength = 1048576,
        sync => sync.InlineBodyLength = 0,
        sync => sync.InlineBodyLength = 1048576,
        sync => sync.MaxBodyLength = 0,
        sync => sync.MaxDeadLetters = 0,
        sync => sync.DeadLetterRetention = TimeSpan.MaxValue,
        sync => sync.MaxEntries = 1,
        sync => sync.MaxBytes = 0,
        sync => sync.IdempotencyKeyHeader = null,
        sync => sync.SecretHeaders.Clear(),
        sync => sync.QueuedStatuses.Add(HttpStatusCode.ServiceUnavailable),
    };

    [Theory]
    [MemberData(nameof(Invalid), DisableDiscoveryEnumeration = true)]
    public async Task An_invalid_option_stops_a_host_at_its_start(string what, Action<BackgroundSyncOptions> configure, string instead)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddHttpClient("api").AddBackgroundSync("orders", configure);
        builder.Services.AddBackgroundSyncMemory();
        using var host = builder.Build();

        var invalid = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        AssertSays(invalid, what, instead);
    }

    [Theory]
    [MemberData(nameof(Invalid), DisableDiscoveryEnumeration = true)]
    public async Task An_invalid_option_stops_a_start_by_hand(string what, Action<BackgroundSyncOptions> configure, string instead)
    {
        await using var provider = Build(configure);

        var invalid = await Assert.ThrowsAsync<OptionsValidationException>(
            () => provider.GetRequiredService<IBackgroundSync>().StartAsync());

        AssertSays(invalid, what, instead);
    }

    [Theory]
    [MemberData(nameof(Valid), DisableDiscoveryEnumeration = true)]
    public async Task An_option_at_its_limit_is_taken(Action<BackgroundSyncOptions> configure)
    {
        await using var provider = Build(configure);

        await provider.GetRequiredService<IBackgroundSync>().StartAsync();
        await provider.GetRequiredService<IBackgroundSync>().StopAsync();
    }

    [Fact]
    public async Task All_that_is_wrong_is_said_at_once()
    {
        await using var provider = Build(sync => (sync.MaxAttempts, sync.MaxConcurrentLanes) = (0, 0));

        var invalid = await Assert.ThrowsAsync<OptionsValidationException>(
            () => provider.GetRequiredService<IBackgroundSync>().StartAsync());

        Assert.Equal(2, invalid.Failures.Count());
    }

    [Fact]
    public async Task A_route_template_that_does_not_parse_stops_the_start_and_says_where_it_is_wrong()
    {
        await using var provider = Build(static sync => sync.Routes.Add("/orders/{id:int}"));

        var malformed = await Assert.ThrowsAsync<FormatException>(() => provider.GetRequiredService<IBackgroundSync>().StartAsync());

        Assert.Equal(
            "Route template \"/orders/{id:int}\", position 11: parameters have neither constraints nor defaults. "
            + "Write {id}, and look closer with a predicate.",
            malformed.Message);
    }

    private static void AssertSays(OptionsValidationException invalid, string what, string instead)
    {
        var failure = Assert.Single(invalid.Failures);
        Assert.StartsWith($"Queue 'orders': {what}; ", failure, StringComparison.Ordinal);
        Assert.Contains(instead, failure, StringComparison.Ordinal);
        Assert.Equal("orders", invalid.OptionsName);
    }

    private static void AddDelays(BackgroundSyncOptions options, params TimeSpan[] delays) =>
        Array.ForEach(delays, options.RetryDelays.Add);

    private static ServiceProvider Build(Action<BackgroundSyncOptions> configure)
    {
        var services = new ServiceCollection();
        services.AddHttpClient("api").AddBackgroundSync("orders", configure);
        return services.AddBackgroundSyncMemory().BuildServiceProvider();
    }
}

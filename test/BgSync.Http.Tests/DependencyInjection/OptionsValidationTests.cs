using System.Net;
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
        { "Retry.MinBackoff is 00:00:00", sync => sync.Retry.MinBackoff = TimeSpan.Zero, "set a positive time" },
        { "Retry.MinBackoff is -00:01:00", sync => sync.Retry.MinBackoff = -_minute, "set a positive time" },
        { "Retry.MinBackoff is 00:06:00", sync => sync.Retry.MinBackoff = 6 * _minute, "set it to Retry.MaxBackoff (00:05:00) at most" },
        { "Retry.MaxBackoff is -00:01:00", sync => sync.Retry.MaxBackoff = -_minute, "set a positive time" },
        { "Retry.Delays[0] is 00:00:00", sync => sync.Retry.Delays.Add(TimeSpan.Zero), "set a positive time" },
        { "Retry.Delays[1] is 50.00:00:00", sync => AddDelays(sync, _minute, TimeSpan.FromDays(50)), "of 49 days at most" },
        {
            "Retry.Delays[0] is -00:00:00.0010000", sync => AddDelays(sync, Timeout.InfiniteTimeSpan, _minute),
            "Timeout.InfiniteTimeSpan as the last one only"
        },
        { "Retry.MaxRetryAfter is -00:01:00", sync => sync.Retry.MaxRetryAfter = -_minute, "set a positive time" },
        { "Replay.Interval is 00:00:00", sync => sync.Replay.Interval = TimeSpan.Zero, "set a positive time" },
        { "Replay.Interval is 50.00:00:00", sync => sync.Replay.Interval = TimeSpan.FromDays(50), "of 49 days at most" },
        { "Replay.TriggerJitter is -00:01:00", sync => sync.Replay.TriggerJitter = -_minute, "set TimeSpan.Zero or a positive time" },
        { "Replay.TriggerJitter is 50.00:00:00", sync => sync.Replay.TriggerJitter = TimeSpan.FromDays(50), "of 49 days at most" },
        { "Replay.LeaseDuration is 00:00:00", sync => sync.Replay.LeaseDuration = TimeSpan.Zero, "set a positive time" },
        { "Replay.ShutdownGrace is -00:01:00", sync => sync.Replay.ShutdownGrace = -_minute, "set TimeSpan.Zero or a positive time" },
        { "EnqueueTimeout is -00:01:00", sync => sync.EnqueueTimeout = -_minute, "set a positive time" },
        { "Retry.MaxAttempts is 0", sync => sync.Retry.MaxAttempts = 0, "set 1 or more" },
        { "Retry.RejectionGrace is -00:00:01", sync => sync.Retry.RejectionGrace = TimeSpan.FromSeconds(-1), "set TimeSpan.Zero" },
        { "ExpectContentType is 'json'", sync => sync.ExpectContentType = "json", "set a media type, such as application/json" },
        { "DeliveredStatuses is 100", sync => sync.DeliveredStatuses.Add(HttpStatusCode.Continue), "set statuses from 200 to 599" },
        { "Capture.Options is ''", sync => sync.Capture.Options.Add(""), "set names of HttpRequestMessage.Options" },
        { "Retry.SkipAfterAttempts is 0", sync => sync.Retry.SkipAfterAttempts = 0, "set 1 or more, or null for never" },
        {
            "Retry.SkipAfterAttempts is 10", sync => (sync.Retry.SkipAfterAttempts, sync.Retry.MaxAttempts) = (10, 10),
            "set it below Retry.MaxAttempts (10)"
        },
        { "Replay.MaxConcurrentLanes is 0", sync => sync.Replay.MaxConcurrentLanes = 0, "set 1 or more" },
        { "Capture.InlineBodyLength is -1", sync => sync.Capture.InlineBodyLength = -1, "set a number of bytes from 0 to 1048576" },
        {
            "Capture.InlineBodyLength is 1048577", sync => sync.Capture.InlineBodyLength = 1048577,
            "set a number of bytes from 0 to 1048576"
        },
        { "Limits.MaxBodyLength is -1", sync => sync.Limits.MaxBodyLength = -1, "null for no limit" },
        { "Limits.MaxEntries is 0", sync => sync.Limits.MaxEntries = 0, "null for no limit" },
        { "Limits.MaxBytes is -1", sync => sync.Limits.MaxBytes = -1, "null for no limit" },
        { "DeadLetters.MaxCount is -1", sync => sync.DeadLetters.MaxCount = -1, "null for no limit" },
        { "DeadLetters.Retention is 00:00:00", sync => sync.DeadLetters.Retention = TimeSpan.Zero, "Timeout.InfiniteTimeSpan for ever" },
        { "Limits.WhenFull is 7",
            sync => sync.Limits.WhenFull = (WhenFull)7,
            "set WhenFull.RefuseNew, WhenFull.DropOldest or WhenFull.DropFirstToExpire" },
        { "IdempotencyKeyHeader is ''", sync => sync.IdempotencyKeyHeader = "", "null to mint no key" },
        { "IdempotencyKeyHeader is 'My Key'", sync => sync.IdempotencyKeyHeader = "My Key", "set the name of a header" },
        { "IdempotencyKeyFormat is 7", sync => sync.IdempotencyKeyFormat = (IdempotencyKeyFormat)7, "set IdempotencyKeyFormat.Bare" },
        { "WhenQueued is 7",
            sync => sync.WhenQueued = (WhenQueued)7,
            "set WhenQueued.Throw, WhenQueued.ReturnAccepted or WhenQueued.Wait" },
        { "WaitTimeout is 00:00:00", sync => sync.WaitTimeout = TimeSpan.Zero, "set a positive time" },
        { "WaitTimeout is 50.00:00:00", sync => sync.WaitTimeout = TimeSpan.FromDays(50), "of 49 days at most" },
        { "Receipts.Retention is -00:01:00", sync => sync.Receipts.Retention = -_minute, "Timeout.InfiniteTimeSpan for ever" },
        {
            "Receipts.Retention is 00:01:59",
            sync => (sync.WhenQueued, sync.Receipts.Retention) = (WhenQueued.Wait, TimeSpan.FromSeconds(119)),
            "set it to twice Replay.Interval (00:01:00) at least"
        },
        { "Receipts.ResponseBodyLength is -1", sync => sync.Receipts.ResponseBodyLength = -1, "set a number of bytes from 0 to 1048576" },
        {
            "Receipts.ResponseBodyLength is 1048577", sync => sync.Receipts.ResponseBodyLength = 1048577,
            "set a number of bytes from 0 to 1048576"
        },
        { "Overtaking is 7", sync => sync.Overtaking = (Overtaking)7, "set Overtaking.Allowed or Overtaking.Never" },
        { "Capture.SecretHeaders is 'X-Api Key'", sync => sync.Capture.SecretHeaders.Add("X-Api Key"), "set names of headers" },
        { "QueuedStatuses is 200", sync => sync.QueuedStatuses.Add(HttpStatusCode.OK), "set statuses of 400 or more" },
        { "ClassifyFailure is null", sync => sync.ClassifyFailure = null!, "set FailureClassifier.Classify, the default" },
    };

    public static TheoryData<Action<BackgroundSyncOptions>> Valid => new()
    {
        sync => sync.MaxRetentionTime = Timeout.InfiniteTimeSpan,
        sync => sync.MaxRetentionTime = TimeSpan.MaxValue,
        sync => sync.AttemptTimeout = Timeout.InfiniteTimeSpan,
        sync => sync.Retry.MinBackoff = sync.Retry.MaxBackoff,
        sync => sync.Replay.TriggerJitter = TimeSpan.Zero,
        sync => sync.Replay.ShutdownGrace = TimeSpan.Zero,
        sync => AddDelays(sync, TimeSpan.FromTicks(1), TimeSpan.FromDays(49)),
        sync => AddDelays(sync, Timeout.InfiniteTimeSpan),
        sync => sync.UseWorkboxDefaults(),
        sync => sync.Retry.MaxAttempts = 1,
        sync => sync.Retry.SkipAfterAttempts = 1,
        sync => (sync.Retry.SkipAfterAttempts, sync.Retry.MaxAttempts) = (6, 7),
        sync => sync.WaitTimeout = Timeout.InfiniteTimeSpan,
        sync => sync.Receipts.Retention = TimeSpan.Zero,
        sync => sync.Receipts.Retention = TimeSpan.MaxValue,
        sync => (sync.WhenQueued, sync.Receipts.Retention) = (WhenQueued.Wait, 2 * sync.Replay.Interval),
        sync => (sync.WhenQueued, sync.Receipts.Retention) = (WhenQueued.Wait, Timeout.InfiniteTimeSpan),
        sync => sync.Receipts.ResponseBodyLength = 0,
        sync => sync.Receipts.ResponseBodyLength = 1048576,
        sync => sync.Capture.InlineBodyLength = 0,
        sync => sync.Capture.InlineBodyLength = 1048576,
        sync => sync.Limits.MaxBodyLength = 0,
        sync => sync.DeadLetters.MaxCount = 0,
        sync => sync.DeadLetters.Retention = TimeSpan.MaxValue,
        sync => sync.Limits.MaxEntries = 1,
        sync => sync.Limits.MaxBytes = 0,
        sync => sync.IdempotencyKeyHeader = null,
        sync => sync.Capture.SecretHeaders.Clear(),
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
        await using var provider = Build(sync => (sync.Retry.MaxAttempts, sync.Replay.MaxConcurrentLanes) = (0, 0));

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
        Array.ForEach(delays, options.Retry.Delays.Add);

    private static ServiceProvider Build(Action<BackgroundSyncOptions> configure)
    {
        var services = new ServiceCollection();
        services.AddHttpClient("api").AddBackgroundSync("orders", configure);
        return services.AddBackgroundSyncMemory().BuildServiceProvider();
    }
}

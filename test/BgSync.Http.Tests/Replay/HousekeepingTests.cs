using BgSync.Http.Queues;
using BgSync.Http.Storage;
using BgSync.Http.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>What becomes of entries and dead letters by the passing of time.</summary>
public sealed class HousekeepingTests : ReplayFixture
{
    private static readonly Uri _dead = new($"http://127.0.0.1:{RawServer.RefusedPort()}/");

    private readonly RecordingObserver _observer = new();

    [Fact]
    public async Task What_has_expired_is_discarded_by_option_and_told_of_all_the_same()
    {
        await using var app = Create(DiscardAfterAMinute, services: Observe);
        await QueueAsync(app, _dead, "old");
        Clock.Advance(TimeSpan.FromMinutes(2));

        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal((1, 0), (summary.Dead, summary.Remaining));
        await AssertDiscardedAsync(app);
        Assert.DoesNotContain(_observer.Events, told => told.Kind == EntryEventKind.Sending);
    }

    [Fact]
    public async Task What_is_found_expired_when_it_is_about_to_be_sent_is_discarded_too()
    {
        await using var app = Create(DiscardAfterAMinute, services: Observe);
        using var brief = new HttpRequestMessage(HttpMethod.Post, _dead);
        brief.SetBackgroundSyncRetention(TimeSpan.FromSeconds(10));
        await app.Queue.PushAsync(brief);
        // The house was kept just now, and is not again before a minute is over.
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Clock.Advance(TimeSpan.FromSeconds(11));

        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        await AssertDiscardedAsync(app);
    }

    [Fact]
    public async Task What_is_found_expired_when_entries_are_taken_by_hand_is_discarded_too()
    {
        await using var app = Create(DiscardAfterAMinute, services: Observe);
        await QueueAsync(app, _dead, "old");
        Clock.Advance(TimeSpan.FromMinutes(2));

        Assert.Null(await app.Queue.ShiftAsync());

        await AssertDiscardedAsync(app);
    }

    private static void DiscardAfterAMinute(BackgroundSyncOptions sync) =>
        (sync.DiscardExpired, sync.MaxRetentionTime) = (true, TimeSpan.FromMinutes(1));

    private void Observe(IServiceCollection services) => services.AddSingleton<IBackgroundSyncObserver>(_observer);

    private async Task AssertDiscardedAsync(TestApplication app)
    {
        Assert.Equal(default, await app.Queue.CountAsync());
        await _observer.ToldAsync(EntryEventKind.Dead);
        Assert.Equal(DeadLetterReason.Expired, _observer.The(EntryEventKind.Dead).DeadLetter!.Reason);
        Assert.Single(app.Logs.Lines, line => line.EventId == 2030 && line.Message.Contains("Expired", StringComparison.Ordinal));
        Assert.DoesNotContain(app.Logs.Lines, line => line.EventId == 2005);
    }
}

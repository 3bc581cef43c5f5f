using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Replay;

/// <summary>Entries and dead letters end by the passing of time.</summary>
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

        Assert.Equal((1, 0), (summary.DeadLettered, summary.Remaining));
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

    [Fact]
    public async Task A_dead_letter_is_deleted_when_it_is_older_than_its_retention_and_not_before()
    {
        await using var app = Create(static sync => sync.DeadLetters.Retention = TimeSpan.FromDays(1), services: Observe);
        await DieAsync(app, 1);

        Clock.Advance(TimeSpan.FromDays(1));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        Assert.Equal(1, (await app.Queue.CountAsync()).DeadLettered);
        Clock.Advance(TimeSpan.FromMinutes(2));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(default, await app.Queue.CountAsync());
        await _observer.ToldAsync(EntryEventKind.Deleted);
        var deleted = _observer.The(EntryEventKind.Deleted);
        Assert.Equal((1, "It was older than 1.00:00:00 (DeadLetters.Retention)."), (deleted.EntryId, deleted.Reason));
        Assert.Single(
            app.Logs.Lines, line => line.EventId == 2010 && line.Message.Contains("(DeadLetters.Retention)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task More_dead_letters_than_are_kept_are_deleted_the_first_to_die_first_in_batches()
    {
        await using var app = Create(static sync => sync.DeadLetters.MaxCount = 2, services: Observe);
        await DieAsync(app, 205);

        Clock.Advance(TimeSpan.FromMinutes(2));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal([204, 205], (await app.DeadLettersAsync()).Select(letter => letter.Id));
        await Eventually.TrueAsync(
            () => _observer.Events.Count(told => told.Kind == EntryEventKind.Deleted) == 203, "every deletion is told");
        Assert.All(
            _observer.Events.Where(told => told.Kind == EntryEventKind.Deleted),
            told => Assert.Equal("There were more than 2 (DeadLetters.MaxCount).", told.Reason));
    }

    [Fact]
    public async Task House_is_kept_once_in_a_replay_interval_by_a_queue_that_is_paused_too()
    {
        var interval = TimeSpan.FromMinutes(1);
        await using var app = Create(sync => (sync.DeadLetters.MaxCount, sync.Replay.Interval) = (0, interval));
        await app.Sync.StartAsync();
        await app.Queue.PauseAsync("Night.");
        // The house is kept now, and not again before the interval is over: else the dead letter could be gone before it is counted.
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);
        var kept = Clock.GetUtcNow();
        await DieAsync(app, 1);

        await AdvanceUntilAsync(
            () => app.Queue.CountAsync().AsTask().GetAwaiter().GetResult().DeadLettered == 0, "the dead letter is deleted");

        Assert.True(Clock.GetUtcNow() - kept >= interval);
    }

    [Fact]
    public async Task Dead_letters_are_kept_for_ever_by_default()
    {
        await using var app = Create();
        await DieAsync(app, 1);

        Clock.Advance(TimeSpan.FromDays(10_000));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(1, (await app.Queue.CountAsync()).DeadLettered);
    }

    /// <summary>Makes dead letters of requests that have expired already.</summary>
    private async Task DieAsync(TestApplication app, int count)
    {
        for (var i = 0; i < count; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, _dead);
            await app.Queue.PushAsync(request, Clock.GetUtcNow().AddDays(-8));
        }

        Assert.Null(await app.Queue.ShiftAsync());
        Assert.Equal(count, (await app.Queue.CountAsync()).DeadLettered);
    }

    private static void DiscardAfterAMinute(BackgroundSyncOptions sync) =>
        (sync.DeadLetters.DiscardExpired, sync.MaxRetentionTime) = (true, TimeSpan.FromMinutes(1));

    private void Observe(IServiceCollection services) => services.AddSingleton<IBackgroundSyncObserver>(_observer);

    private async Task AssertDiscardedAsync(TestApplication app)
    {
        Assert.Equal(default, await app.Queue.CountAsync());
        await _observer.ToldAsync(EntryEventKind.DeadLettered);
        Assert.Equal(DeadLetterCause.Expired, _observer.The(EntryEventKind.DeadLettered).DeadLetter!.Cause);
        Assert.Single(app.Logs.Lines, line => line.EventId == 2030 && line.Message.Contains("Expired", StringComparison.Ordinal));
        Assert.DoesNotContain(app.Logs.Lines, line => line.EventId == 2005);
    }
}

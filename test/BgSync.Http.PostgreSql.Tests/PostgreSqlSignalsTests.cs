using System.Collections.Concurrent;
using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using TestKit.PostgreSql;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests;

/// <summary>Changes that one process makes and another hears of.</summary>
public sealed class PostgreSqlSignalsTests(ClassDatabase shared) : IClassFixture<ClassDatabase>, IAsyncLifetime
{
    private const string Listeners = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";

    private readonly List<PostgreSqlQueueStore> _stores = [];
    private readonly ConcurrentQueue<string?> _heard = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private PostgreSqlDatabase Database => shared.Database;

    public ValueTask InitializeAsync()
    {
        // Skips the test where there is no server.
        _ = Database;
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        await Database.ResetAsync();
    }

    [Fact]
    public async Task What_one_store_adds_or_resumes_another_hears()
    {
        using var subscription = await ListenAsync(Open());
        var other = Open();

        await AddAsync(other, "added");
        await HearsAsync("added");

        await other.SetPauseAsync("resumed", null, Cancellation);
        await HearsAsync("resumed");
    }

    [Fact]
    public async Task A_store_does_not_hear_itself()
    {
        var self = Open();
        using var subscription = await ListenAsync(self);
        using var otherSubscription = await ListenAsync(Open(), queue => _heard.Enqueue(queue is null ? null : $"other: {queue}"));

        await AddAsync(self, "own");
        await HearsAsync("other: own");
        await AddAsync(Open(), "others");

        await HearsAsync("others");
        Assert.DoesNotContain("own", _heard);
    }

    [Fact]
    public async Task Many_changes_in_a_short_time_are_told_at_once_and_then_together()
    {
        var clock = new TestClock();
        using var subscription = await ListenAsync(Open());
        var other = Open(clock: clock);
        await AddAsync(other, "many");
        await HearsAsync("many");

        for (var i = 0; i < 20; i++)
        {
            await AddAsync(other, "many");
        }

        await Eventually.TrueAsync(() => clock.NextTimerAt is not null, "the announcer waits");
        clock.Advance(TimeSpan.FromMilliseconds(100));
        await Eventually.TrueAsync(() => _heard.Count(static queue => queue == "many") == 2, "the rest is told");

        // The last change is told although the store ends.
        await AddAsync(other, "last");
        await other.DisposeAsync();
        await HearsAsync("last");
        Assert.Equal(2, _heard.Count(static queue => queue == "many"));
    }

    [Fact]
    public async Task A_listener_whose_connection_is_cut_comes_back_and_has_all_queues_looked_at()
    {
        var clock = new TestClock();
        using var subscription = await ListenAsync(Open(clock: clock));

        Assert.NotEqual(0, await Database.CutConnectionsAsync());

        await Eventually.TrueAsync(
            () =>
            {
                // Its wait before the next try.
                clock.Advance(TimeSpan.FromSeconds(1));
                return _heard.Count(static queue => queue is null) == 2;
            },
            "all queues are taken for changed");
        await AddAsync(Open(), "after");
        await HearsAsync("after");
        Assert.Equal(1, await Database.ScalarAsync($"SELECT count(*) {Listeners}"));
    }

    [Fact]
    public async Task A_silent_connection_is_tried_and_hears_on()
    {
        var clock = new TestClock();
        using var subscription = await ListenAsync(Open(clock: clock));
        var process = await Database.ScalarAsync($"SELECT pid {Listeners}");
        await Database.ExecuteAsync($"CREATE TABLE before AS SELECT query_start {Listeners}");

        await EventuallyAsync(
            async () =>
            {
                clock.Advance(TimeSpan.FromSeconds(30));
                return await Database.ScalarAsync($"SELECT count(*) {Listeners} AND query_start > (SELECT max(query_start) FROM before)") == 1;
            },
            "the server is asked again");

        Assert.Equal(process, await Database.ScalarAsync($"SELECT pid {Listeners}"));
        await AddAsync(Open(), "after");
        await HearsAsync("after");
        Assert.Single(_heard, static queue => queue is null);
    }

    [Fact]
    public async Task Who_does_not_listen_any_more_keeps_no_connection()
    {
        var store = Open();
        var subscription = await ListenAsync(store);
        using (store.Subscribe(_heard.Enqueue))
        {
            Assert.Equal(1, await Database.ScalarAsync($"SELECT count(*) {Listeners}"));
        }

        subscription.Dispose();
        subscription.Dispose();

        await EventuallyAsync(async () => await Database.ScalarAsync($"SELECT count(*) {Listeners}") == 0, "nobody listens");
    }

    [Fact]
    public async Task One_that_only_polls_neither_listens_nor_tells()
    {
        var polling = Open(pollOnly: true);
        using var silence = polling.Subscribe(_ => _heard.Enqueue("heard by the one that polls"));
        Assert.Equal(0, await Database.ScalarAsync($"SELECT count(*) {Listeners}"));
        using var subscription = await ListenAsync(Open());

        await AddAsync(polling, "polled");
        await polling.DisposeAsync();
        await AddAsync(Open(), "told");

        await HearsAsync("told");
        Assert.Equal([null, "told"], _heard);
    }

    private PostgreSqlQueueStore Open(TimeProvider? clock = null, bool pollOnly = false)
    {
        var store = new PostgreSqlQueueStore(
            Database.DataSource,
            new PostgreSqlStoreOptions { PollOnly = pollOnly },
            clock ?? TimeProvider.System,
            NullLogger<PostgreSqlQueueStore>.Instance);
        _stores.Add(store);
        return store;
    }

    /// <summary>Subscribes, and waits until the server is listened to: all queues are taken for changed then.</summary>
    private async Task<IDisposable> ListenAsync(PostgreSqlQueueStore store, Action<string?>? queueChanged = null)
    {
        var listens = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        var subscription = store.Subscribe(queue =>
        {
            (queueChanged ?? _heard.Enqueue)(queue);
            listens.TrySetResult(true);
        });
        await Eventually.DoneAsync(listens.Task, "the store listens");
        return subscription;
    }

    private Task HearsAsync(string queue) => Eventually.TrueAsync(() => _heard.Contains(queue), $"'{queue}' is heard");

    private static Task EventuallyAsync(Func<Task<bool>> condition, string what) =>
        Eventually.TrueAsync(() => Task.Run(condition).GetAwaiter().GetResult(), what);

    private static async Task AddAsync(PostgreSqlQueueStore store, string queue) => await store.AddAsync(
        new NewEntry
        {
            Queue = queue,
            Lane = "",
            Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri("https://api.example.com/") },
            Timestamp = DateTimeOffset.UnixEpoch,
        },
        Cancellation);
}

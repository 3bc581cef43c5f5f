using BgSync.Http.Outcomes;
using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using TestKit.PostgreSql;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

/// <summary>Stores over one database, and a look at what they leave in it.</summary>
public abstract class PostgreSqlStoreFixture(ClassDatabase shared) : IClassFixture<ClassDatabase>, IAsyncLifetime
{
    protected const string Queue = "orders";

    protected const string Origin = "https://api.example.com";

    protected static readonly TimeSpan LeaseTime = TimeSpan.FromMinutes(1);

    private readonly List<IAsyncDisposable> _opened = [];

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    protected PostgreSqlDatabase Database => shared.Database;

    public ValueTask InitializeAsync()
    {
        // Skips the test where there is no server.
        _ = Database;
        return ValueTask.CompletedTask;
    }

    public virtual async ValueTask DisposeAsync()
    {
        foreach (var opened in Enumerable.Reverse(_opened))
        {
            await opened.DisposeAsync();
        }

        await Database.ResetAsync();
        GC.SuppressFinalize(this);
    }

    private protected PostgreSqlQueueStore Open(TimeProvider? clock = null, NpgsqlDataSource? dataSource = null)
    {
        var store = new PostgreSqlQueueStore(
            dataSource ?? Database.DataSource,
            new PostgreSqlStoreOptions(),
            clock ?? TimeProvider.System,
            NullLogger<PostgreSqlQueueStore>.Instance);
        _opened.Add(store);
        return store;
    }

    /// <summary>A data source whose sessions have settings of their own, such as <c>-c statement_timeout=100</c>.</summary>
    protected NpgsqlDataSource Connect(string options)
    {
        var dataSource = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(Database.ConnectionString) { Options = options });
        _opened.Add(dataSource);
        return dataSource;
    }

    private protected static NewEntry Entry(string path = "/a", string lane = "", string queue = Queue) => new()
    {
        Queue = queue,
        Lane = lane,
        Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(Origin + path) },
        Timestamp = DateTimeOffset.UnixEpoch,
    };

    private protected static async Task<LeasedEntry> LeaseOneAsync(PostgreSqlQueueStore store) =>
        Assert.Single(await store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));

    private protected static async Task<List<string>> ReadPathsAsync(PostgreSqlQueueStore store) =>
        await store.ReadAsync(Queue, QueueEnd.Front, Cancellation)
            .Select(entry => entry.Request.Uri.AbsolutePath).ToListAsync(Cancellation);

    /// <summary>Completes a leased head, and leases what follows in its lane.</summary>
    private protected static ValueTask<Completion> GoOnAsync(PostgreSqlQueueStore store, LeasedEntry leased, int limit = 32) =>
        store.SettleAsync(
            [Delivered(leased)], new NextLease(Origin, limit, long.MaxValue, LeaseTime), Cancellation);

    private protected static DeliveredEntry Delivered(LeasedEntry leased) => new(leased.Lease, new Settlement.Delivered(200));

    /// <summary>Checks the rules that hold whenever nothing is under way and nothing is leased.</summary>
    protected async Task AssertConsistentAsync()
    {
        foreach (var (what, count) in (IEnumerable<(string, string)>)
            [
                ("lanes whose head is not their first entry",
                    """
                    SELECT count(*) FROM bgsync.lane WHERE head_id IS DISTINCT FROM (
                        SELECT id FROM bgsync.entry WHERE entry.queue = lane.queue AND entry.lane = lane.name ORDER BY position LIMIT 1)
                    """),
                ("lanes that say something else of their head than its row",
                    """
                    SELECT count(*) FROM bgsync.lane JOIN bgsync.entry ON id = head_id
                    WHERE head_position <> position OR lane.origin <> entry.origin
                    """),
                ("lanes that lease something without a lease",
                    "SELECT count(*) FROM bgsync.lane WHERE leased_behind IS NOT NULL AND lease_token IS NULL"),
                ("entries without a lane",
                    """
                    SELECT count(*) FROM bgsync.entry
                    WHERE NOT EXISTS (SELECT FROM bgsync.lane WHERE lane.queue = entry.queue AND lane.name = entry.lane)
                    """),
                ("heads that wait for nothing for ever",
                    """
                    SELECT count(*) FROM bgsync.lane JOIN bgsync.entry ON id = head_id
                    WHERE wait = 3 AND NOT EXISTS (
                        SELECT FROM bgsync.entry AS b
                        WHERE b.id = entry.prerequisite AND b.queue = entry.queue AND b.position < entry.position)
                    """),
                ("queues that are counted wrong",
                    """
                    SELECT count(*) FROM (SELECT DISTINCT queue FROM bgsync.tally) AS q
                    WHERE (SELECT (sum(live), sum(bytes), sum(dead)) FROM bgsync.tally WHERE tally.queue = q.queue) IS DISTINCT FROM (
                        SELECT (count(*)::numeric, coalesce(sum(body_length), 0),
                            (SELECT count(*)::numeric FROM bgsync.dead_letter WHERE dead_letter.queue = q.queue))
                        FROM bgsync.entry WHERE entry.queue = q.queue)
                    """),
                ("chunks of bodies that nobody has",
                    """
                    SELECT count(*) FROM bgsync.body_chunk WHERE body_id NOT IN (
                        SELECT body_id FROM bgsync.entry WHERE body_id IS NOT NULL
                        UNION SELECT body_id FROM bgsync.dead_letter WHERE body_id IS NOT NULL
                        UNION SELECT (request).body_id FROM bgsync.held WHERE (request).body_id IS NOT NULL
                        UNION SELECT body_id FROM bgsync.body_draft)
                    """),
                ("attempts at entries that are gone",
                    """
                    SELECT count(*) FROM bgsync.attempt WHERE entry_id NOT IN (
                        SELECT id FROM bgsync.entry UNION SELECT id FROM bgsync.dead_letter)
                    """),
            ])
        {
            Assert.Equal((what, 0L), (what, await Database.ScalarAsync(count)));
        }
    }
}

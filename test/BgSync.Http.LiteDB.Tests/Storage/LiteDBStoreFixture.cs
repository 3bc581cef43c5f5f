using BgSync.Http.Storage;
using LiteDB;
using LiteDB.Engine;
using TestKit;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

/// <summary>A place for LiteDB stores, and ways to look at their file with LiteDB itself.</summary>
public abstract class LiteDBStoreFixture : IAsyncLifetime
{
    protected const string Queue = "orders";

    protected const string Origin = "https://api.example.com";

    protected static readonly TimeSpan LeaseTime = TimeSpan.FromMinutes(1);

    private readonly List<LiteDBQueueStore> _stores = [];

    protected TempDirectory Directory { get; } = new();

    protected TestClock Clock { get; } = new();

    private protected RecordingLogger<LiteDBQueueStore> Logger { get; } = new();

    protected string DatabasePath => Directory.File("queues.db");

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        Directory.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected LiteDBQueueStore Open(string? connectionString = null)
    {
        var options = new LiteDBStoreOptions { ConnectionString = connectionString ?? DatabasePath };
        var store = new LiteDBQueueStore(options, Clock, Logger);
        _stores.Add(store);
        return store;
    }

    private protected NewEntry Entry(string path = "/a", string lane = "", string queue = Queue) => new()
    {
        Queue = queue,
        Lane = lane,
        Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(Origin + path) },
        Timestamp = Clock.GetUtcNow(),
    };

    private protected static async Task<LeasedEntry> LeaseOneAsync(IQueueStore store, string queue = Queue) =>
        Assert.Single(await store.LeaseAsync(queue, Origin, 1, LeaseTime, Cancellation));

    /// <summary>Adds a lane, delivers its first entry and leases all the others together.</summary>
    private protected async Task<IReadOnlyList<LeasedEntry>> LeaseTogetherAsync(IQueueStore store, params NewEntry[] entries)
    {
        foreach (var entry in entries.Prepend(Entry("/delivered")))
        {
            await store.AddAsync(entry, Cancellation);
        }

        var first = new DeliveredEntry((await LeaseOneAsync(store)).Lease, null);
        var next = new NextLease(Origin, entries.Length, long.MaxValue, LeaseTime);
        var run = (await store.SettleAsync([first], next, Cancellation)).Next;
        Assert.Equal(entries.Length, run.Count);
        return run;
    }

    private protected static async Task<List<QueuedEntry>> ReadAllAsync(IQueueStore store, string queue = Queue) =>
        await store.ReadAsync(queue, QueueEnd.Front, Cancellation).ToListAsync(Cancellation);

    private protected static async Task<List<string>> ReadPathsAsync(IQueueStore store, string queue = Queue) =>
        (await ReadAllAsync(store, queue)).ConvertAll(static entry => entry.Request.Uri.AbsolutePath);

    protected static async Task<QueueStoreException> AssertFaultAsync(StoreFault fault, Func<Task> act)
    {
        var exception = await Assert.ThrowsAsync<QueueStoreException>(act);
        Assert.Equal(fault, exception.Fault);
        return exception;
    }

    /// <summary>Opens a file that no store has open, as LiteDB's own tools do.</summary>
    protected LiteEngine Connect(string? path = null) => new(new EngineSettings { Filename = path ?? DatabasePath });

    /// <summary>The documents of a collection, of a file that no store has open.</summary>
    protected List<BsonDocument> ReadDocuments(string collection)
    {
        using var engine = Connect();
        return ReadDocuments(engine, collection);
    }

    protected static List<BsonDocument> ReadDocuments(LiteEngine engine, string collection)
    {
        var documents = new List<BsonDocument>();
        using var reader = engine.Query(collection, new Query());
        while (reader.Read())
        {
            documents.Add(reader.Current.AsDocument);
        }

        return documents;
    }
}

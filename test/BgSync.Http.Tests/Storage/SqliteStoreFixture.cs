using BgSync.Http.Storage;
using BgSync.Http.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>A place for SQLite stores, and ways to look at their file behind their backs.</summary>
public abstract class SqliteStoreFixture : IAsyncLifetime
{
    protected const string Queue = "orders";

    protected const string Origin = "https://api.example.com";

    protected static readonly TimeSpan LeaseTime = TimeSpan.FromMinutes(1);

    private readonly List<SqliteQueueStore> _stores = [];

    protected TempDirectory Directory { get; } = new();

    protected TestClock Clock { get; } = new();

    private protected RecordingLogger<SqliteQueueStore> Logger { get; } = new();

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

    private protected SqliteQueueStore Open(string? path = null, TimeSpan? busyTimeout = null)
    {
        var options = new SqliteStoreOptions { Path = path ?? DatabasePath, BusyTimeout = busyTimeout ?? TimeSpan.FromSeconds(5) };
        var store = new SqliteQueueStore(options, Clock, Logger);
        _stores.Add(store);
        return store;
    }

    private protected NewEntry Entry(string path = "/a", string lane = "") => new()
    {
        Queue = Queue,
        Lane = lane,
        Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(Origin + path) },
        Timestamp = Clock.GetUtcNow(),
    };

    private protected static async Task<LeasedEntry> LeaseOneAsync(IQueueStore store) =>
        Assert.Single(await store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));

    private protected static async Task<List<string>> ReadPathsAsync(IQueueStore store) =>
        await store.ReadAsync(Queue, QueueEnd.Front, Cancellation)
            .Select(entry => entry.Request.Uri.AbsolutePath)
            .ToListAsync(Cancellation);

    protected static async Task<QueueStoreException> AssertFaultAsync(StoreFault fault, Func<Task> act)
    {
        var exception = await Assert.ThrowsAsync<QueueStoreException>(act);
        Assert.Equal(fault, exception.Fault);
        return exception;
    }

    protected SqliteConnection Connect(string? path = null)
    {
        var connection = new SqliteConnection($"Data Source={path ?? DatabasePath};Pooling=False;Default Timeout=5");
        connection.Open();
        return connection;
    }

    protected long Scalar(string sql, string? path = null)
    {
        using var connection = Connect(path);
        return Scalar(connection, sql);
    }

    protected static long Scalar(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToInt64(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture);
    }

    protected static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    /// <summary>Changes a byte of a file that nobody has open, at a text that stands in it once.</summary>
    protected static void Flip(string path, ReadOnlySpan<byte> text, int offset = 0)
    {
        var bytes = File.ReadAllBytes(path);
        var at = bytes.AsSpan().IndexOf(text);
        Assert.True(at >= 0, "The text is not in the file.");
        bytes[at + offset] ^= 1;
        File.WriteAllBytes(path, bytes);
    }

    /// <summary>Overwrites the head of the page in which a text stands.</summary>
    protected static void BreakPageOf(string path, ReadOnlySpan<byte> text)
    {
        var bytes = File.ReadAllBytes(path);
        var at = bytes.AsSpan().IndexOf(text);
        Assert.True(at >= 4096, "The text is not in the file, or in its first page.");
        bytes.AsSpan(at / 4096 * 4096, 16).Fill(0xFF);
        File.WriteAllBytes(path, bytes);
    }
}

using System.Diagnostics;
using BgSync.Http.Benchmarks.Measuring;
using BgSync.Http.Benchmarks.Queues;

namespace BgSync.Http.Benchmarks.Scale;

/// <summary>A queue of a given length in a SQLite store of its own.</summary>
internal sealed class LongQueue
{
    private static readonly SqliteSubject _store = new();

    private int _added;

    private LongQueue(string folder, int length, int lanes)
    {
        Folder = folder;
        Length = length;
        Lanes = lanes;
        Session = _store.Open(folder);
    }

    public string Folder { get; }

    public int Length { get; }

    public int Lanes { get; }

    public StoreSession Session { get; private set; }

    public static async Task<LongQueue> FillAsync(string folder, int length, int lanes, byte[] body)
    {
        var queue = new LongQueue(folder, length, lanes);
        await Load.RunAsync(512, length, _ => queue.Session.AddAsync(queue.NextLane(), body));
        return queue;
    }

    /// <summary>The lanes in turn.</summary>
    public string NextLane() => $"lane{Interlocked.Increment(ref _added) % Lanes}";

    /// <summary>Closes the store and opens it again.</summary>
    /// <returns>How long it took until it has answered, and taken an entry, in milliseconds.</returns>
    public async Task<double> ReopenAsync()
    {
        await Session.DisposeAsync();
        var started = Stopwatch.GetTimestamp();
        Session = _store.Open(Folder);
        await Session.CountAsync();
        await Session.AddAsync(NextLane(), ReadOnlyMemory<byte>.Empty);
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }
}

using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>A queue in a store of this project, spoken to as the queue and the replay do.</summary>
internal sealed class StoreSession(ServiceProvider services, Func<ValueTask<long>> size) : IQueueSession
{
    public const string Queue = "orders";
    public const string Origin = "https://api.example.com";

    private const int ChunkLength = 256 * 1024;

    private static readonly TimeSpan _lease = TimeSpan.FromMinutes(1);
    private static readonly Settlement.Delivered _delivery = new(200);
    private static readonly RequestSnapshot _request = new()
    {
        Method = HttpMethod.Post,
        Uri = new Uri(Origin + "/orders"),
        Headers = [new("Accept", "application/json"), new("Idempotency-Key", "01890a5d-ac96-774b-bcce-b302099a8057")],
        ContentHeaders = [new("Content-Type", "application/json; charset=utf-8")],
    };

    private readonly IQueueStore _store = services.GetRequiredService<IQueueStore>();
    private long _large;

    public IQueueStore Store => _store;

    public async ValueTask AddAsync(string lane, ReadOnlyMemory<byte> body) =>
        await _store.AddAsync(Entry(lane, EntryBody.FromBytes(body)), CancellationToken.None);

    public async ValueTask<int> SettleAsync(int lanes)
    {
        var leased = await _store.LeaseAsync(Queue, Origin, lanes, _lease, CancellationToken.None);
        var completed = await Task.WhenAll(leased.Select(
            entry => _store.CompleteAsync(entry.Lease, _delivery, CancellationToken.None).AsTask()));
        return completed.Count(static isCompleted => isCompleted);
    }

    public async ValueTask<int> SettleLaneAsync(int together)
    {
        var next = new NextLease(Origin, together, long.MaxValue, _lease);
        IReadOnlyList<LeasedEntry> leased = await _store.LeaseLaneAsync(Queue, "", _lease, CancellationToken.None) is { } head ? [head] : [];
        var settled = 0;
        while (leased.Count > 0)
        {
            settled += leased.Count;
            DeliveredEntry[] delivered = [.. leased.Select(static entry => new DeliveredEntry(entry.Lease, _delivery))];
            leased = (await _store.SettleAsync(delivered, next, CancellationToken.None)).Next;
        }

        return settled;
    }

    public async ValueTask<long> CountAsync() => (await _store.CountAsync(Queue, CancellationToken.None)).Pending;

    public async ValueTask AddLargeAsync(long length)
    {
        var chunk = new byte[ChunkLength];
        await using var writer = await _store.BeginBodyAsync(CancellationToken.None);
        for (long written = 0; written < length; written += chunk.Length)
        {
            await writer.WriteAsync(chunk, CancellationToken.None);
        }

        _large = (await _store.AddAsync(Entry("", EntryBody.FromWriter(writer)), CancellationToken.None)).Id;
    }

    public async ValueTask<long> ReadLargeAsync()
    {
        await using var body = await _store.OpenBodyAsync(Queue, _large, CancellationToken.None);
        var buffer = new byte[ChunkLength];
        var length = 0L;
        int read;
        while ((read = await body!.ReadAsync(buffer)) > 0)
        {
            length += read;
        }

        return length;
    }

    public async ValueTask ClearAsync()
    {
        while (await _store.ClearAsync(Queue, 256, CancellationToken.None) > 0)
        {
        }
    }

    public ValueTask<long> SizeAsync() => size();

    public ValueTask DisposeAsync() => services.DisposeAsync();

    private static NewEntry Entry(string lane, EntryBody body) => new()
    {
        Queue = Queue,
        Lane = lane,
        Request = _request,
        Body = body,
        Timestamp = DateTimeOffset.UtcNow,
        ExpiresAt = DateTimeOffset.UtcNow.AddDays(7),
    };
}

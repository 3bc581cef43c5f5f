using BgSync.Http.Benchmarks.Measuring;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>The hand-written queue beside the stores.</summary>
internal sealed class HandWrittenSubject() : QueueSubject("Hand-written")
{
    public override ValueTask<IQueueSession> OpenAsync(string folder) => new(new Session(folder));

    private sealed class Session(string folder) : IQueueSession
    {
        private const string Headers = """{"Accept":"application/json","Content-Type":"application/json; charset=utf-8"}""";

        private readonly HandWrittenQueue _queue = new(folder);

        public async ValueTask AddAsync(string lane, ReadOnlyMemory<byte> body) =>
            await _queue.AddAsync("POST", "https://api.example.com/orders", Headers, body.ToArray());

        public async ValueTask<int> SettleAsync(int lanes)
        {
            var settled = 0;
            while (settled < lanes && await _queue.PeekAsync() is var (id, _, _))
            {
                await _queue.RemoveAsync(id);
                settled++;
            }

            return settled;
        }

        public ValueTask<int> SettleLaneAsync(int together) => SettleAsync(int.MaxValue);

        public async ValueTask<long> CountAsync() => await _queue.CountAsync();

        public async ValueTask AddLargeAsync(long length) => await AddAsync("", new byte[length]);

        public async ValueTask<long> ReadLargeAsync() => await _queue.PeekAsync() is var (_, _, body) ? body.Length : 0;

        public async ValueTask ClearAsync() => await _queue.ClearAsync();

        public ValueTask<long> SizeAsync() => new(WorkFolder.SizeOf(folder));

        public ValueTask DisposeAsync()
        {
            _queue.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

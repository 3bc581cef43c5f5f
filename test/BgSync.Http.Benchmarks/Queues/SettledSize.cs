using BgSync.Http.Benchmarks.Measuring;

namespace BgSync.Http.Benchmarks.Queues;

/// <summary>The size of a queue once its store gives nothing back any more.</summary>
internal static class SettledSize
{
    public static async Task<long> OfAsync(IQueueSession session, Effort effort)
    {
        var patience = TimeSpan.FromMilliseconds(effort.Of(3000, 500));
        var size = await session.SizeAsync();
        while (true)
        {
            await Task.Delay(patience);
            var now = await session.SizeAsync();
            if (now == size)
            {
                return size;
            }

            size = now;
        }
    }
}

using BgSync.Http;

namespace TestKit;

public static class QueueEvents
{
    /// <summary>Ends when events of a kind have happened. They are counted from this call on, even where it is awaited later.</summary>
    public static Task UntilAsync(this IBackgroundSyncQueue queue, EntryEventKind kind, int times = 1) =>
        Eventually.DoneAsync(CountAsync(queue, kind, times), $"{times} times {kind} at queue '{queue.Name}'");

    private static async Task<int> CountAsync(IBackgroundSyncQueue queue, EntryEventKind kind, int times)
    {
        var count = 0;
        await foreach (var update in queue.WatchAsync())
        {
            count += update.Events.Count(happened => happened.Kind == kind);
            if (count >= times)
            {
                return count;
            }
        }

        throw new InvalidOperationException($"The queue '{queue.Name}' has ended.");
    }
}

using BgSync.Http.TestApp;
using Xunit;

namespace TestKit.Trials;

/// <summary>The rules that a queue keeps whatever happens to the processes that share it.</summary>
internal static class TrialAssert
{
    private const int MostLeasedTogether = 32;

    /// <summary>Whatever was told to be queued arrives, whole, and under one key however often.</summary>
    public static void NothingIsLost(IEnumerable<QueuedItem> queued, IReadOnlyCollection<Arrival> arrivals)
    {
        var keys = arrivals.ToLookup(arrival => arrival.Item, arrival => arrival.IdempotencyKey);
        Assert.DoesNotContain(queued, told => !keys.Contains(told.Item));
        Assert.All(arrivals, arrival => Assert.True(arrival.IsWhole));
        Assert.All(keys, sent => Assert.Single(sent.Distinct()));
    }

    /// <summary>
    /// Lane by lane: what was told to be queued before another was posted, by whichever process, arrives before it.
    /// </summary>
    public static void LanesAreInOrder(IEnumerable<QueuedItem> queued, IReadOnlyCollection<Arrival> arrivals)
    {
        var queuedByItem = queued.ToDictionary(told => told.Item);
        var arrived = arrivals.Select(arrival => arrival.Item).Distinct().Where(queuedByItem.ContainsKey);
        foreach (var lane in arrived.Select(item => queuedByItem[item]).GroupBy(told => told.Item.Lane))
        {
            var lastPosted = lane.First();
            foreach (var told in lane)
            {
                Assert.False(told.ToldAt < lastPosted.PostedAt, $"{told.Item} was queued before {lastPosted.Item}, and sent after it.");
                lastPosted = told.PostedAt > lastPosted.PostedAt ? told : lastPosted;
            }
        }
    }

    /// <summary>
    /// An interruption leaves no more of each lane that is sent again than are leased together; and nobody sends twice what it was
    /// answered.
    /// </summary>
    public static void OnlyInterruptedAreSentAgain(IReadOnlySet<string> interrupted, IReadOnlyCollection<Arrival> arrivals)
    {
        IGrouping<Item, Arrival>[] sentAgain = [.. arrivals.GroupBy(arrival => arrival.Item).Where(sent => sent.Count() > 1)];
        Assert.All(sentAgain, sent => Assert.Distinct(sent.Select(arrival => arrival.Sender)));

        var inFlight = sentAgain.SelectMany(sent => sent.SkipLast(1).Select(arrival => (arrival.Sender, arrival.Item.Lane))).ToList();
        Assert.All(inFlight.CountBy(static sent => sent), static lane => Assert.InRange(lane.Value, 1, MostLeasedTogether));
        Assert.All(inFlight, sent => Assert.Contains(sent.Sender, interrupted));
    }
}

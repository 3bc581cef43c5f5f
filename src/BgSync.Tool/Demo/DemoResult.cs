namespace BgSync.Tool.Demo;

/// <summary>The requests that the application sent, beside those that the server got.</summary>
internal sealed record DemoResult(IReadOnlyList<LaneResult> Lanes, int Sent, int Arrived, int Duplicates, long DeadLetters)
{
    /// <summary>Whether all arrived once, in order and identical.</summary>
    public bool IsPerfect =>
        Arrived == Sent && Duplicates == 0 && DeadLetters == 0 && Lanes.All(lane => lane.IsIdentical && lane.IsInOrder);

    public static DemoResult Compare(IReadOnlyList<Upload> sent, IReadOnlyCollection<Arrival> arrivals, long deadLetters)
    {
        var arrived = arrivals.ToLookup(arrival => arrival.Path);
        LaneResult[] lanes = [.. sent.GroupBy(upload => upload.Path).Select(lane => Compare(lane.Key, [.. lane], arrived[lane.Key]))];

        // A request without a key counts as one that nobody could tell from another.
        var duplicates = arrivals.Count - arrivals.Select(arrival => arrival.IdempotencyKey).Distinct().Count();
        return new DemoResult(lanes, sent.Count, arrivals.Count, duplicates, deadLetters);
    }

    private static LaneResult Compare(string path, List<Upload> sent, IEnumerable<Arrival> arrivals) =>
        new(path, sent, [.. arrivals.Select(arrival => 1 + sent.FindIndex(upload => upload.Sha256 == arrival.Sha256))]);
}

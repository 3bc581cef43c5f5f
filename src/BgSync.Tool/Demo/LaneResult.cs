namespace BgSync.Tool.Demo;

/// <summary>The result of the uploads to one path, which make up a lane.</summary>
/// <param name="Path">The path.</param>
/// <param name="Sent">The uploads, in the order in which the application made them.</param>
/// <param name="Arrived">The numbers in <paramref name="Sent"/>, from 1, in the order of arrival; 0 for a body that nobody sent.</param>
internal sealed record LaneResult(string Path, IReadOnlyList<Upload> Sent, IReadOnlyList<int> Arrived)
{
    /// <summary>Whether every body that arrived is one that was sent, by its hash.</summary>
    public bool IsIdentical => !Arrived.Contains(0);

    /// <summary>Whether all arrived once and in order.</summary>
    public bool IsInOrder => Arrived.SequenceEqual(Enumerable.Range(1, Sent.Count));
}

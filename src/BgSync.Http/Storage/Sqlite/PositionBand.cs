namespace BgSync.Http.Storage.Sqlite;

/// <summary>
/// Where the entries of each priority stand: so far apart that the order of positions is the order of a queue, priority included.
/// </summary>
internal static class PositionBand
{
    /// <summary>The band of a lane's head, as it stands in the index of the lanes that are due.</summary>
    public const string OfHead = "(lane.head_position + 0x0800000000000000) >> 60";

    /// <summary>The bands, the most urgent one first.</summary>
    public static ReadOnlySpan<long> All => [-1, 0, 1];
}

namespace BgSync.Http.Storage.Sqlite;

/// <summary>The bands of <see cref="EntryPosition"/>, as statements see them.</summary>
internal static class PositionBand
{
    /// <summary>The band of a lane's head, as it stands in the index of the lanes that are due.</summary>
    public const string OfHead = "(lane.head_position + 0x0800000000000000) >> 60";

    /// <summary>The bands, the most urgent one first.</summary>
    public static ReadOnlySpan<long> All => [-1, 0, 1];

    /// <summary>The number of an entry inside its band.</summary>
    /// <param name="table">Where the entry is.</param>
    public static string NumberOf(string table) =>
        $"{table}.position - (({table}.position + 0x0800000000000000) >> 60 << 60)";
}

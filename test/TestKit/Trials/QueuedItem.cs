using System.Globalization;
using BgSync.Http.TestApp;

namespace TestKit.Trials;

/// <summary>An item whose caller was told that it is queued.</summary>
/// <param name="Item">The item.</param>
/// <param name="PostedAt">When it was posted, by a clock that all processes share.</param>
/// <param name="ToldAt">When its caller was told.</param>
public sealed record QueuedItem(Item Item, long PostedAt, long ToldAt)
{
    /// <summary>Reads what the test application says of it.</summary>
    public static QueuedItem Parse(string told) => told.Split(' ') is [var lane, var id, var postedAt, var toldAt]
        ? new(new(lane, id), long.Parse(postedAt, CultureInfo.InvariantCulture), long.Parse(toldAt, CultureInfo.InvariantCulture))
        : throw new FormatException($"'{told}' is no queued item.");
}

namespace BgSync.Http.Storage;

/// <summary>Where an entry stands in its queue.</summary>
/// <remarks>
/// The positions of each priority lie in a band of their own, so far apart that no queue fills one: the order of positions is the
/// order of a queue, priority included.
/// </remarks>
internal static class EntryPosition
{
    private const int BandBits = 60;

    /// <param name="priority">The entry's.</param>
    /// <param name="number">Counted up at the back of the queue, and down at its front.</param>
    public static long At(EntryPriority priority, long number) => ((long)-(int)priority << BandBits) + number;

    /// <summary>The first position of a priority's band.</summary>
    public static long FirstOf(EntryPriority priority) => At(priority, -(1L << (BandBits - 1)));

    /// <summary>The last position of a priority's band.</summary>
    public static long LastOf(EntryPriority priority) => At(priority, (1L << (BandBits - 1)) - 1);

    /// <summary>The band of a position: the lower, the more urgent.</summary>
    public static long BandOf(long position) => (position + (1L << (BandBits - 1))) >> BandBits;
}

namespace BgSync.Http.Storage;

/// <summary>The entries and bytes that a queue holds too many of to take a new entry.</summary>
/// <param name="Entries">How many entries; zero if there is a place.</param>
/// <param name="Bytes">How many bytes; zero if there is space.</param>
internal readonly record struct QueueExcess(long Entries, long Bytes)
{
    /// <summary>Whether the new entry fits.</summary>
    public bool IsNone => Entries <= 0 && Bytes <= 0;

    /// <summary>The excess that is left when an entry leaves.</summary>
    public QueueExcess Without(long bytes) => new(Entries - 1, Bytes - bytes);
}

namespace BgSync.Http.Storage;

/// <summary>How much a queue may hold, and what happens when a new entry does not fit.</summary>
/// <remarks>
/// All entries count that stand in the queue, those past their retention or being sent too; dead letters do not. What is being sent
/// is never dropped, nor is what the new entry waits for. An entry whose body alone is larger than <see cref="MaxBytes"/> is refused
/// whatever <see cref="WhenFull"/> says.
/// </remarks>
/// <param name="MaxEntries">How many entries; <see langword="null"/> for no limit.</param>
/// <param name="MaxBytes">How many bytes their bodies may have together; <see langword="null"/> for no limit.</param>
/// <param name="WhenFull">The rule for a new entry that does not fit.</param>
internal sealed record QueueLimits(long? MaxEntries, long? MaxBytes, WhenFull WhenFull)
{
    /// <summary>The excess that has to leave a queue before a new entry fits.</summary>
    internal QueueExcess ExcessOf(long entries, long bytes, long newBytes) => new(
        Math.Max(0, entries + 1 - (MaxEntries ?? long.MaxValue)),
        Math.Max(0, bytes - ((MaxBytes ?? long.MaxValue) - newBytes)));

    /// <summary>Whether room can be made for a new entry at all.</summary>
    internal bool MayDropFor(long newBytes) => WhenFull != WhenFull.RefuseNew && !(newBytes > MaxBytes);

    /// <summary>Says why a new entry was refused, and what to do about it.</summary>
    internal QueueStoreException Refuse(string queue, long newBytes, QueueExcess excess) =>
        new(StoreFault.QueueFull, Explain(queue, newBytes, excess));

    private string Explain(string queue, long newBytes, QueueExcess excess)
    {
        if (newBytes > MaxBytes)
        {
            return $"The body of {newBytes} bytes is larger than all that queue '{queue}' may hold "
                + $"(MaxBytes is {MaxBytes}). Raise MaxBytes.";
        }

        return excess.Entries > 0
            ? $"Queue '{queue}' is full (MaxEntries is {MaxEntries}). {Advise("MaxEntries")}"
            : $"Queue '{queue}' has no room for a body of {newBytes} bytes (MaxBytes is {MaxBytes}). {Advise("MaxBytes")}";
    }

    private string Advise(string limit) => WhenFull == WhenFull.RefuseNew
        ? $"Raise {limit}, or have WhenFull drop entries that wait."
        : $"What is being sent, or what it waits for, is not dropped for it; raise {limit}.";
}

namespace BgSync.Http.Storage;

/// <summary>The work that processes which died have left behind, and that is taken over now.</summary>
/// <param name="Leases">How many leases were voided.</param>
/// <param name="Entries">The requests written ahead that entered their queues; those that cannot be read are not listed.</param>
/// <param name="DeadLetters">The requests written ahead that may have been processed and must not be sent twice.</param>
internal sealed record ReclaimedWork(int Leases, IReadOnlyList<QueuedEntry> Entries, IReadOnlyList<DeadLetter> DeadLetters)
{
    /// <summary>Nothing.</summary>
    public static ReclaimedWork None { get; } = new(0, [], []);

    /// <summary>The sum of both.</summary>
    public static ReclaimedWork operator +(ReclaimedWork left, ReclaimedWork right)
    {
        ArgumentNullException.ThrowIfNull(left);
        ArgumentNullException.ThrowIfNull(right);
        return left == None ? right
            : right == None ? left
            : new(left.Leases + right.Leases, [.. left.Entries, .. right.Entries], [.. left.DeadLetters, .. right.DeadLetters]);
    }

    /// <summary>Why a request written ahead is queued whose process died.</summary>
    public const string Interrupted = "The application ended while the request was sent.";
}
